"""`sweep`: many runs of a config as one program, or go on with those in the directory."""

from __future__ import annotations

import argparse
import os
import signal
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import Once, add_config_words, overrides_of, put_once, take_config
from jaxtrain.cli.printing import shown
from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.sweeps import Sweep


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--sweep",
        metavar="FILE",
        action=Once,
        help="what to search: a .yaml, .json, .toml or .sdn file. A directory in the place of both "
        "files is a sweep to go on with",
    )
    parser.add_argument(
        "--plan", action="store_true", help="say what would be trained together, and train nothing"
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="rows of the table")
    parser.add_argument(
        "--export", type=int, metavar="N", help="write member N as an ordinary run directory"
    )
    parser.add_argument("--to", metavar="DIR", help="where to; members/N in the sweep's directory")
    parser.set_defaults(directory=None)


def _take(options: argparse.Namespace, word: str) -> None:
    """A sweep's directory, or a config."""
    if os.path.isdir(word):
        put_once(options, "directory", word)
    else:
        take_config(options, word)


def _sweep(options: argparse.Namespace, overrides: list[str]) -> int:
    with StopOnSignals(second=signal.SIG_DFL) as signals:
        sweep = _made(options, overrides)
        if options.plan:
            from jaxtrain.sweeps import describe_sweep

            print(describe_sweep(sweep))
            return 0
        if options.export is not None:
            from jaxtrain.sweeps import export_member

            where = options.to or sweep.directory / "members" / str(options.export)
            print(f"member {options.export}: {shown(export_member(sweep, options.export, where))}")
            return 0
        print(f"{sweep.sweep.members} members -> {shown(sweep.directory)}", flush=True)
        rows = sweep.run(signals.guard)
    from jaxtrain.cli.sweep_table import print_table

    print_table(rows, sweep.monitor.mode, top=options.top)
    print(f"best: {shown(sweep.directory / 'best.yaml')}")
    print(f"report: {shown(sweep.directory / 'report.html')}")
    return 0


def _made(options: argparse.Namespace, overrides: list[str]) -> Sweep:
    if options.directory is not None:
        if options.config or options.sweep or overrides or options.workdir:
            raise ConfigError(
                f"sweep: {options.directory} says itself what it searches; leave out --config, "
                "--sweep and overrides, or give them without the directory, as --workdir"
            )
        from jaxtrain.sweeps import Sweep

        return Sweep.in_directory(options.directory, plugins=options.plugin)
    words = overrides_of(options, overrides)
    if options.sweep is None:
        raise ConfigError("sweep: what is to be searched is missing; --sweep sweep.yaml")
    from jaxtrain.config import from_cli_dotlist, load, merge
    from jaxtrain.sweeps import Sweep, SweepConfig

    tree = merge(load(options.config), from_cli_dotlist(words))
    return Sweep(tree, SweepConfig.of(options.sweep), plugins=options.plugin)


COMMAND = Command(
    "train many members of a config as one program",
    _add_words,
    _sweep,
    _take,
    prints=False,
    trains=True,
)
