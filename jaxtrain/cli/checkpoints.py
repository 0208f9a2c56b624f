"""`checkpoints`: verify the checkpoints of a run, and say which would be used."""

from __future__ import annotations

import argparse
from pathlib import Path

from jaxtrain.cli.command import Command
from jaxtrain.cli.printing import checkpoint_line
from jaxtrain.errors import CheckpointError, ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workdir", metavar="WORKDIR", help="a run directory")


def _checkpoints(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides:
        raise ConfigError(f"checkpoints: takes no --config, found --config.{overrides[0]}")
    from jaxtrain.run.found import survey

    run = Path(options.workdir)
    surveyed = survey(run)
    if not surveyed.found:
        raise ConfigError(f"{run}: holds no checkpoints")
    for found in surveyed.found:
        uses = [use for use in ("resume", "best") if found.saved == getattr(surveyed, use)]
        print(checkpoint_line(found, uses if found.saved and not found.fault else []))
    if surveyed.resume is None:
        print("none can be used; training would refuse to go on rather than begin anew")
        return CheckpointError.exit_code
    print(f"training would go on from {surveyed.resume.path.name}, the newest good one")
    if surveyed.best is not None:
        print(f"evaluation would use {surveyed.best.path.name}, the best good one")
    return 0


COMMAND = Command(
    "verify the checkpoints of a run; say which would be used, and why others would not",
    _add_words,
    _checkpoints,
)
