"""`runs rm`: remove runs.

runs rm seed0-1a2b digits/seed1-3c4d
runs rm latest --yes

It asks before, and never removes a run that a process has, a directory that is no run's, what is
behind a symbolic link, or files that no run writes: those it names, and removes nothing. All of the
runs are looked at before the first is touched. Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.printing import printable, shown
from jaxtrain.cli.runs_words import add_run_words, refuse_overrides, root_of, take_run
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.tracking import RunRecord


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_run_words(parser, several=True)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _rm(options: argparse.Namespace, overrides: list[str]) -> int:
    from jaxtrain.cli.runs_named import meant
    from jaxtrain.cli.runs_own import refuse_others, remove

    refuse_overrides(options, overrides)
    records = [meant(text, root_of(options)) for text in options.runs]
    runs = {record.path.absolute(): record for record in records}
    for path in runs:
        refuse_others(path)
    if not options.yes and not _agreed(list(runs.values())):
        print("nothing was removed")
        return 0
    for path in runs:
        remove(path)
        print(f"removed {shown(path)}")
    return 0


def _agreed(records: list[RunRecord]) -> bool:
    from jaxtrain.cli.runs_own import size

    if not sys.stdin.isatty():
        raise ConfigError("runs rm: there is no terminal to ask at; --yes removes without asking")
    for record in records:
        files, count = size(record.path)
        status = printable(record.status)
        print(f"{shown(record.path.absolute())}: {status}, {files} files, {count:,} bytes")
    what = "this run" if len(records) == 1 else f"these {len(records)} runs"
    return input(f"remove {what}? [y/N] ").strip().lower() in ("y", "yes")


COMMAND = Command("remove runs", _add_words, _rm, take_run)
