"""`plan`: say what a run will do, and with --calibrate which form of dispatch is faster."""

from __future__ import annotations

import argparse

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import add_config_words, config_of, take_config, task_of
from jaxtrain.cli.printing import shown


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="time both forms of dispatch and print the line that pins the faster",
    )


def _plan(options: argparse.Namespace, overrides: list[str]) -> int:
    task = task_of(config_of(options, overrides))
    from jaxtrain.run import Experiment
    from jaxtrain.run.planning import calibrate, describe_plan, refuse_what_train_refuses

    experiment = Experiment(task, state=task.abstract_state())
    refuse_what_train_refuses(experiment)
    print(f"run        {shown(experiment.directory.path)}")
    print(describe_plan(experiment))
    if options.calibrate:
        print(calibrate(task))
    return 0


COMMAND = Command(
    "say what a run will do: events, dispatches, memory", _add_words, _plan, take_config
)
