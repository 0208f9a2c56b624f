"""`init`: a config from what there is: a table, a folder of images, a file of arrays; or a model.

init --images birds
init --model nnx --output my_model.py
"""

from __future__ import annotations

import argparse
import errno
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.run.beginning import Beginning

_PROGRAM = "python -m jaxtrain.main"
# What a path can be wrong with: all but a disk that is full or broken.
_PATH_ERRORS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOENT,
    errno.EINVAL,
}


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--csv", metavar="FILE", help="a table; with --target")
    parser.add_argument("--target", metavar="COLUMN", help="the column of the table to predict")
    parser.add_argument("--images", metavar="DIR", help="a folder with a folder of images a class")
    parser.add_argument("--arrays", metavar="FILE", help="a .npz file with inputs and labels")
    parser.add_argument(
        "--model",
        nargs="?",
        const="linen",
        choices=("linen", "nnx"),
        help="a plugin file with a model of your own, in Flax Linen or NNX",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="what to write; by default named after the data, here"
    )
    parser.add_argument("--force", action="store_true", help="write over an OUTPUT that is there")


def _init(options: argparse.Namespace, overrides: list[str]) -> int:
    kinds = [kind for kind in (*_BEGINNINGS, "model") if getattr(options, kind) is not None]
    if len(kinds) != 1:
        found = " and ".join(f"--{kind}" for kind in kinds) or "none"
        raise ConfigError(
            f"init: expected one of --csv, --images, --arrays and --model, found {found}"
        )
    if overrides:
        raise ConfigError(f"init: takes no --config, found --config.{overrides[0]}")
    if (options.target is not None) != (kinds == ["csv"]):
        raise ConfigError(
            "init: --csv wants --target, the column to predict"
            if options.target is None
            else f"init: --target is a column of a --csv; --{kinds[0]} has none"
        )
    if kinds == ["model"]:
        return _init_model(options)
    return _init_config(kinds[0], options)


def _init_config(kind: str, options: argparse.Namespace) -> int:
    from jaxtrain.run import make_config
    from jaxtrain.run.beginning import config_text, project_of

    source = getattr(options, kind)
    if not source or "\0" in source:
        raise ConfigError(f"init: --{kind} {source!r} can't be a path")
    suggested = Path(f"{project_of(Path(source), kind)}.yaml")
    output = _output(options, suggested, (".yaml", ".yml"))
    beginning = _BEGINNINGS[kind](options)
    make_config(beginning.config)  # before anything is written: that it is one
    _print_facts(beginning)
    _write(output, config_text(beginning.config, beginning.comments))
    print(f"written: {output}\nto train: {_PROGRAM} --config {_quoted(output)}")
    return 0


def _init_model(options: argparse.Namespace) -> int:
    from jaxtrain.run.beginning import model_name, plugin_text

    output = _output(options, Path("my_model.py"), (".py",))
    name = model_name(output)
    command = (
        f"{_PROGRAM} --config configs/digits.py --plugin {_quoted(output)} "
        f"--config.model.name={name}"
    )
    _write(output, plugin_text(options.model, name=name, command=command))
    print(f"written: {output}, with the model {name!r}\nto train: {command}")
    return 0


def _of_table(options: argparse.Namespace) -> Beginning:
    from jaxtrain.data.tables import csv_config, inspect_table
    from jaxtrain.run.beginning import Beginning

    path = Path(options.csv)
    lines, config = csv_config(inspect_table(path, target=options.target), path)
    return Beginning(config=config, lines=tuple(lines))


def _of_images(options: argparse.Namespace) -> Beginning:
    from jaxtrain.run.beginning import begin_with_images

    return begin_with_images(Path(options.images))


def _of_arrays(options: argparse.Namespace) -> Beginning:
    from jaxtrain.run.beginning import begin_with_arrays

    return begin_with_arrays(Path(options.arrays))


_BEGINNINGS: Mapping[str, Callable[[argparse.Namespace], Beginning]] = {
    "csv": _of_table,
    "images": _of_images,
    "arrays": _of_arrays,
}


def _output(options: argparse.Namespace, suggested: Path, suffixes: tuple[str, ...]) -> Path:
    """The file to write, before anything is looked at: what is in the way of it."""
    if options.output is not None and not options.output.isprintable():
        raise ConfigError(f"--output {options.output!r} can't be a path that a config is found by")
    output = suggested if options.output is None else Path(options.output)
    if output.suffix not in suffixes:
        raise ConfigError(f"--output {output}: expected a file that ends in {suffixes[0]}")
    try:
        if output.is_dir() or not output.parent.is_dir():
            raise ConfigError(
                f"--output {output}: expected a file in a directory that is there, found "
                + ("a directory" if output.is_dir() else f"no directory {output.parent}")
            )
        if (output.exists() or output.is_symlink()) and not options.force:
            raise ConfigError(
                f"--output {output}: is there already; --force writes over it, --output names "
                "another"
            )
    except OSError as error:
        raise ConfigError(f"--output {output}: {error.strerror}") from None
    return output


def _write(output: Path, text: str) -> None:
    from jaxtrain.files import replacing

    try:
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        if error.errno in _PATH_ERRORS:
            raise ConfigError(f"--output {output}: {error.strerror}") from None
        raise


def _print_facts(beginning: Beginning) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, not markup: a class may be called "[red]".
    if beginning.facts:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("", "taken for", "because"):
            table.add_column(heading, overflow="fold")
        for fact in beginning.facts:
            table.add_row(Text(fact.what), Text(fact.taken_for), Text(fact.because))
        Console(file=sys.stdout).print(table)
    for line in beginning.lines:
        print(line)


def _quoted(path: Path) -> str:
    """A path for a shell, and not an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


COMMAND = Command(
    "write a config for a table, images or arrays, or a plugin with a model", _add_words, _init
)
