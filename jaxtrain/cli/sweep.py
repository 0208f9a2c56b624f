"""`sweep`: many runs of a config as one program, or go on with those in the directory."""

from __future__ import annotations

import argparse
import signal

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import Once, add_config_words, overrides_of, take_config
from jaxtrain.cli.printing import shown
from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.errors import ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--sweep",
        metavar="FILE",
        action=Once,
        help="what to search: a .yaml, .json, .toml or .sdn file",
    )
    parser.add_argument(
        "--plan", action="store_true", help="say what would be trained together, and train nothing"
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="rows of the table")


def _sweep(options: argparse.Namespace, overrides: list[str]) -> int:
    with StopOnSignals(second=signal.SIG_DFL) as signals:
        if options.sweep is None:
            raise ConfigError("sweep: what is to be searched is missing; --sweep sweep.yaml")
        from jaxtrain.config import from_cli_dotlist, load, merge
        from jaxtrain.sweeps import Sweep, SweepConfig
        from jaxtrain.sweeps.planning import describe_sweep

        words = overrides_of(options, overrides)
        tree = merge(load(options.config), from_cli_dotlist(words))
        sweep = Sweep(tree, SweepConfig.of(options.sweep), plugins=options.plugin)
        if options.plan:
            print(describe_sweep(sweep))
            return 0
        print(f"{sweep.sweep.members} members -> {shown(sweep.directory)}", flush=True)
        rows = sweep.run(signals.guard)
    from jaxtrain.cli.sweep_table import print_table

    print_table(rows, sweep.direction, top=options.top)
    print(f"best: {shown(sweep.directory / 'best.yaml')}")
    return 0


COMMAND = Command(
    "train many members of a config as one program", _add_words, _sweep, take_config, prints=False
)
