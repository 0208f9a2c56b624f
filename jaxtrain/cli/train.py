"""`train`: train, or go on with what is in the run directory."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import (
    add_config_words,
    config_of,
    phased_of,
    take_config,
    task_of,
)
from jaxtrain.cli.printing import introduction, outcome, shown
from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.phases import PhasedConfig
    from jaxtrain.run import Experiment


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--resume",
        choices=("auto", "must", "never"),
        default="auto",
        help="continue a run that is there (auto), insist on one, or refuse one",
    )
    parser.add_argument(
        "--allow-changed-plugins",
        action="store_true",
        help="go on with plugins that were edited since the last checkpoint: with a warning",
    )


def _train(options: argparse.Namespace, overrides: list[str]) -> int:
    # First of all: a Ctrl-C during the slow imports would be raised in the middle of them.
    with StopOnSignals(second=signal.SIG_DFL) as signals:
        phased = phased_of(options, overrides)
        if phased is not None:
            return _train_phases(phased, options, signals)
        config = config_of(options, overrides)
        from jaxtrain.parallel import is_first, start
        from jaxtrain.run import Experiment

        start(config.distributed)  # before JAX is used, and knows of this process alone
        if not is_first():
            logging.getLogger("jaxtrain").setLevel(logging.WARNING)
        experiment = Experiment(task_of(config))
        if is_first():
            print(introduction(experiment), flush=True)
        figures = experiment.train(
            resume=options.resume,
            guard=signals.guard,
            allow_changed_plugins=options.allow_changed_plugins,
        )
    if is_first():
        print(outcome(figures, experiment.directory.path))
    return 0


def _train_phases(phased: PhasedConfig, options: argparse.Namespace, signals: StopOnSignals) -> int:
    from jaxtrain.parallel import place_of
    from jaxtrain.phases import JOINT, Progressive

    if place_of(None, os.environ) is not None:
        raise ConfigError(
            f"{options.config}: a config with phases is trained by one process, which may have "
            "several devices, and the environment says that there are several; start one"
        )
    progressive = Progressive(phased)

    def told(name: str, experiment: Experiment | None) -> None:
        beside = name == JOINT and phased.joint is not None
        which = "all tasks at once" if beside else f"phase {name}"
        if experiment is None:
            print(f"{which}: is over", flush=True)
        else:
            print(f"{which}:\n{introduction(experiment)}", flush=True)

    report = progressive.train(resume=options.resume, guard=signals.guard, told=told)
    report.print()
    where = shown(progressive.directory)
    print(f"report: {where / 'retention.json'}, {where / 'retention.png'}")
    return 0


COMMAND = Command(
    "train, or continue the run in the directory", _add_words, _train, take_config, prints=False
)
