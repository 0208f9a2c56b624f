"""`plan`: say what a run will do, and with --calibrate which form of dispatch is faster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import add_config_words, config_of, phased_of, take_config, task_of
from jaxtrain.cli.printing import shown
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.phases import PhasedConfig


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="time both forms of dispatch and print the line that pins the faster",
    )


def _plan(options: argparse.Namespace, overrides: list[str]) -> int:
    phased = phased_of(options, overrides)
    if phased is not None:
        return _plan_phases(phased, options)
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


def _plan_phases(phased: PhasedConfig, options: argparse.Namespace) -> int:
    from jaxtrain.phases import Progressive, describe_phases

    if options.calibrate:
        raise ConfigError("--calibrate: times one run; plan a phase's own run directory")
    progressive = Progressive(phased)
    print(f"run        {shown(progressive.directory)}")
    print(describe_phases(progressive))
    return 0


COMMAND = Command(
    "say what a run will do: events, dispatches, memory", _add_words, _plan, take_config
)
