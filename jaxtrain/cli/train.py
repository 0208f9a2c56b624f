"""`train`: train, or go on with what is in the run directory."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
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
    parser.add_argument(
        "--profile",
        metavar="FIRST:LAST",
        action=Once,
        help="trace these iterations into the run directory, and tell what one took and computed; "
        "counted from 1, of which the first compiles: --profile 10:20",
    )


def _train(options: argparse.Namespace, overrides: list[str]) -> int:
    # First of all: a Ctrl-C during the slow imports would be raised in the middle of them.
    with StopOnSignals(second=signal.SIG_DFL) as signals:
        profiled = None if options.profile is None else iterations_of(options.profile)
        phased = phased_of(options, overrides)
        if phased is not None:
            if profiled is not None:
                raise ConfigError("--profile: is for a single run; this config has phases")
            return _train_phases(phased, options, signals)
        config = config_of(options, overrides)
        from jaxtrain.parallel import is_first, start
        from jaxtrain.run import Experiment

        start(config.distributed)  # before JAX is used, and knows of this process alone
        if not is_first():
            logging.getLogger("jaxtrain").setLevel(logging.WARNING)
        experiment = Experiment(task_of(config))
        if profiled is not None:
            _profile(experiment, *profiled)
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


def iterations_of(word: str) -> tuple[int, int]:
    """The first and the last iteration of FIRST:LAST.

    >>> iterations_of("10:20")
    (10, 20)

    Raises:
        ConfigError: it is something else, or none are meant.
    """
    parts = re.fullmatch(r"(\d{1,18}):(\d{1,18})", word, re.ASCII)
    if parts is None:
        raise ConfigError(f"--profile: expected FIRST:LAST, such as 10:20, found {word!r}")
    first, last = int(parts[1]), int(parts[2])
    if first < 1:
        raise ConfigError(f"--profile: iterations are counted from 1, found {word!r}")
    if first > last:
        raise ConfigError(f"--profile: the first comes behind the last, found {word!r}")
    return first, last


def _profile(experiment: Experiment, first: int, last: int) -> None:
    """Let the trainer trace these iterations; no part of the config, nor of what is compared."""
    from jaxtrain.hooks import Profiler

    loader, config = experiment.task.data.loader, experiment.config
    length = config.train.epochs * loader.steps_per_epoch
    if last > length:
        raise ConfigError(
            f"--profile: the run has {length:,} iterations, {config.train.epochs} epochs of "
            f"{loader.steps_per_epoch:,}; found {first}:{last}"
        )
    if any(isinstance(hook, Profiler) for hook in experiment.trainer.hooks.values()):
        raise ConfigError("--profile: the config has the hook profiler already; leave one out")
    path = experiment.directory.path
    experiment.trainer.attach(Profiler(path, first=first, iterations=last - first + 1), "profiler")


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
    "train, or continue the run in the directory",
    _add_words,
    _train,
    take_config,
    prints=False,
    trains=True,
)
