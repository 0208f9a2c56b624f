"""`predict`: what a trained model says of new rows, as a table.

predict --checkpoint RUN --input new.csv --output predictions.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jaxtrain.cli.command import Command
from jaxtrain.cli.trained import add_checkpoint_words, take_checkpoint, trained_of
from jaxtrain.errors import ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_words(parser)
    parser.add_argument(
        "--input",
        metavar="PATH",
        help="a table, a folder of images, a file of arrays: what the run was trained on",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="the CSV file to write; the standard output by default"
    )
    parser.add_argument("--force", action="store_true", help="write over an OUTPUT that is there")


def _predict(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.input is None:
        raise ConfigError("predict: --input is missing; give a file or folder of new rows")
    output = None if options.output is None else Path(options.output)
    _refuse_output(output, Path(options.input), force=options.force)
    trained = trained_of(options, overrides)
    for line in trained.changed_plugins():
        print(f"WARNING: not what the run was made with: {line}", file=sys.stderr)
    from jaxtrain.run.predictions import Predictions

    predictions = Predictions.of(trained, trained.read(options.input))
    if output is None:
        predictions.write(sys.stdout)
    else:
        predictions.save(output)
    where = "" if output is None else f", written to {output}"
    print(f"{predictions.summary()}{where}", file=sys.stderr)
    return 0


def _refuse_output(output: Path | None, source: Path, *, force: bool) -> None:
    """Before anything is computed: what is in the way, and what would be lost."""
    if output is None:
        return
    if output.is_symlink() or (output.exists() and not (output.is_file() or output.is_dir())):
        # It would be replaced by a file, not written to.
        raise ConfigError(
            f"--output {output}: is a link or a device; name a file, or leave --output out and "
            "redirect the standard output"
        )
    if output.is_dir() or not output.parent.is_dir():
        raise ConfigError(
            f"--output {output}: expected a file in a directory that is there, found "
            + ("a directory" if output.is_dir() else f"no directory {output.parent}")
        )
    if output.exists():
        if source.exists() and output.samefile(source):
            raise ConfigError(f"--output {output}: is the input; choose another file")
        if not force:
            raise ConfigError(f"--output {output}: is there already; --force writes over it")


COMMAND = Command(
    "what a trained model says of new rows, as a table", _add_words, _predict, take_checkpoint
)
