"""The hooks of a run: those that every run has, and those that its config asks for.

    store = make_store(config, directory)
    for name, hook in make_hooks(task, directory, evaluator=..., loader=..., ...).items():
        trainer.attach(hook, name)

Nothing is written when they are made; they write once the trainer runs.
"""

from __future__ import annotations

from typing import Any

from jaxtrain.checkpoint import CheckpointStore, environment
from jaxtrain.config import ExperimentConfig, imported_digests, to_dict
from jaxtrain.engine import Engine
from jaxtrain.hooks import (
    HOOKS,
    Checkpoint,
    History,
    Silent,
    Tracking,
    Validation,
    only_tells,
)
from jaxtrain.metrics import Direction, better
from jaxtrain.report import LearningCurves
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.learnt import Learnt
from jaxtrain.run.task import Task
from jaxtrain.run.writers import refuse_two_writers
from jaxtrain.tracking import Run


def direction(config: ExperimentConfig) -> Direction:
    """Which way the checkpoints' monitor gets better."""
    return better(config.checkpoint.monitor, config.checkpoint.mode)


def make_store(config: ExperimentConfig, directory: RunDirectory) -> CheckpointStore:
    """Where the checkpoints of a run go."""
    section = config.checkpoint
    return CheckpointStore(
        directory.checkpoints,
        keep=section.keep,
        keep_best=section.keep_best,
        monitor=section.monitor,
        mode=direction(config),
        asynchronous=section.asynchronous,
    )


def make_hooks(
    task: Task,
    directory: RunDirectory,
    *,
    evaluator: Engine,
    loader: Any,
    history: History,
    store: CheckpointStore,
    record: Run,
) -> dict[str, Any]:
    """Every hook of a run by its name, in the order in which they are to be attached.

    Args:
        task: what is trained; its config names the hooks.
        directory: what they write goes there.
        evaluator: runs over the validation set, where there is one.
        loader: what the trainer reads.
        history: the rows of it are what the curves show.
        store: where checkpoints go.
        record: what is logged besides goes there.

    Raises:
        ConfigError: a hook of the config can't be made.
    """
    config, data = task.config, task.data
    hooks: dict[str, Any] = {}
    if "validation" in data.sets:
        hooks["validation"] = Validation(evaluator, task.eval_loader("validation"))
    hooks["history"] = history
    hooks["tracking"] = Tracking(record)
    for name, section in config.hooks.items():
        hooks[name] = HOOKS.build(section, directory=directory.path)
    refuse_two_writers({name: hooks[name] for name in config.hooks})
    hooks["curves"] = LearningCurves(
        directory.path,
        history.epochs,
        title=config.project,
        monitor=config.checkpoint.monitor,
        mode=direction(config),
    )
    hooks["checkpoint"] = Checkpoint(
        store,
        loader,
        every_epochs=config.checkpoint.every_epochs,
        every=config.checkpoint.every,
        describe={
            "config": to_dict(config),
            "environment": environment.current(),
            "data": data.fingerprints(),
            "plugins": imported_digests(config.plugins),
            "learnt": dict(Learnt.of(data).to_json()),
        },
    )
    if directory.writes:
        return hooks
    return {name: Silent(hook) if only_tells(hook) else hook for name, hook in hooks.items()}
