"""The commands by name.

COMMANDS["plan"].run(options, ["train.epochs=5"])
COMMANDS["runs list"]                    # of two words, which both have to stand first
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jaxtrain.cli import (
    check,
    checkpoints,
    evaluate,
    export,
    generate,
    init,
    launch,
    listing,
    plan,
    predict,
    report,
    runs_compare,
    runs_list,
    runs_rm,
    runs_show,
    runs_sync,
    sweep,
    train,
    watch,
)
from jaxtrain.cli.command import Command

COMMANDS: Final[Mapping[str, Command]] = {
    "init": init.COMMAND,
    "train": train.COMMAND,
    "sweep": sweep.COMMAND,
    "launch": launch.COMMAND,
    "evaluate": evaluate.COMMAND,
    "predict": predict.COMMAND,
    "generate": generate.COMMAND,
    "export": export.COMMAND,
    "check": check.COMMAND,
    "plan": plan.COMMAND,
    "checkpoints": checkpoints.COMMAND,
    "report": report.COMMAND,
    "watch": watch.COMMAND,
    "list": listing.COMMAND,
    "runs list": runs_list.COMMAND,
    "runs show": runs_show.COMMAND,
    "runs compare": runs_compare.COMMAND,
    "runs rm": runs_rm.COMMAND,
    "runs sync": runs_sync.COMMAND,
}
