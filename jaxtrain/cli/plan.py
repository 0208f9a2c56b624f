"""`plan`: say what a run will do; with --calibrate which form of dispatch is faster.

With --devices it says what a step needs on so many devices, and with --chip how long it takes
there, though none of them is here.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import (
    Once,
    add_config_words,
    config_of,
    phased_of,
    take_config,
    task_of,
)
from jaxtrain.cli.printing import shown
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.phases import PhasedConfig
    from jaxtrain.run.chips import Chip


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="time both forms of dispatch and print the line that pins the faster",
    )
    parser.add_argument(
        "--devices",
        metavar="N",
        action=Once,
        help="plan for so many devices, none of which has to be there: compile the step for as "
        "many simulated ones, and tell bytes, layout and communication of each",
    )
    parser.add_argument(
        "--chip",
        metavar="NAME",
        action=Once,
        help="with --devices: predict how long a step takes on such (h200, v5e, ...)",
    )


def _plan(options: argparse.Namespace, overrides: list[str]) -> int:
    devices, chip = _elsewhere(options)
    phased = phased_of(options, overrides)
    if phased is not None:
        return _plan_phases(phased, options)
    if devices is not None:
        return _plan_elsewhere(config_of(options, overrides), devices, chip)
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


def _elsewhere(options: argparse.Namespace) -> tuple[int | None, Chip | None]:
    """How many devices to plan for, and which; None for what is here.

    Raises:
        ConfigError: the words can't be meant, or nobody knows the chip.
    """
    if options.devices is None:
        if options.chip is not None:
            raise ConfigError("--chip: of how many? add --devices")
        return None, None
    if not re.fullmatch(r"[1-9]\d{0,5}", options.devices, re.ASCII):
        raise ConfigError(f"--devices: expected a number from 1 on, found {options.devices!r}")
    if options.calibrate:
        raise ConfigError("--calibrate: times what is here; leave it out, or --devices")
    if options.chip is None:
        return int(options.devices), None
    from jaxtrain.run.chips import chip_of

    return int(options.devices), chip_of(options.chip)


def _plan_elsewhere(config: ExperimentConfig, devices: int, chip: Chip | None) -> int:
    from jaxtrain.run.scale import scale_lines
    from jaxtrain.run.simulated import simulated

    if config.mesh is None and devices > 1:
        print("REMARK     the config has no mesh, and a run of it takes one device; mesh.data=-1,")
        print("           which is what is planned here, takes all")
    print("\n".join(scale_lines(simulated(config, devices), chip)))
    return 0


def _plan_phases(phased: PhasedConfig, options: argparse.Namespace) -> int:
    from jaxtrain.phases import Progressive, describe_phases

    if options.devices is not None:
        raise ConfigError("--devices: plans one run; plan a phase's own run directory")
    if options.calibrate:
        raise ConfigError("--calibrate: times one run; plan a phase's own run directory")
    progressive = Progressive(phased)
    print(f"run        {shown(progressive.directory)}")
    print(describe_phases(progressive))
    return 0


COMMAND = Command(
    "say what a run will do: events, dispatches, memory", _add_words, _plan, take_config
)
