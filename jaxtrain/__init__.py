"""A functional training stack for JAX and Flax.

    import jaxtrain as jt

    config = jt.make_config("configs/digits.py", ["train.epochs=5"])
    experiment = jt.Experiment.of(config)
    figures = experiment.train()

or stage by stage: `jt.Experiment(jt.Task.of(jt.RunData.of(config)))`.

Pure, jitted steps update an immutable `TrainState`; an ordinary Python event loop, the `Engine`,
fires hooks around them. This file is the table of contents; each name is imported when it is first
used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jaxtrain._version import __version__

if TYPE_CHECKING:
    from jaxtrain import (
        checkpoint,
        config,
        data,
        engine,
        errors,
        generation,
        hooks,
        lora,
        metrics,
        models,
        optim,
        phases,
        report,
        retention,
        run,
        step,
        sweeps,
        tracking,
    )
    from jaxtrain.checkpoint import CheckpointStore
    from jaxtrain.config import ConfigDict, ExperimentConfig
    from jaxtrain.data import ArrayLoader, Dataset, GrainLoader, Splits
    from jaxtrain.engine import Engine, Event, Events
    from jaxtrain.errors import JaxtrainError
    from jaxtrain.metrics import Accuracy, Loss, Metric
    from jaxtrain.models import Model, from_linen, from_nnx
    from jaxtrain.run import Experiment, RunData, Task, Trained, choose_device, make_config
    from jaxtrain.step import TrainState, create_train_state, make_eval_step, make_train_step

_ROOMS = (
    "checkpoint",
    "config",
    "data",
    "engine",
    "errors",
    "generation",
    "hooks",
    "lora",
    "metrics",
    "models",
    "optim",
    "parallel",
    "phases",
    "report",
    "retention",
    "run",
    "step",
    "sweeps",
    "tracking",
)
# Below or above what one works with, and so not listed; but `jt.batch` is there all the same, not
# only once somebody has imported it.
_UNLISTED = (
    "batch",
    "blame",
    "cli",
    "compiling",
    "direction",
    "files",
    "main",
    "pictures",
    "registry",
    "sharding",
    "units",
    "varied",
)
_NAMES = {
    "CheckpointStore": "checkpoint",
    "ConfigDict": "config",
    "ExperimentConfig": "config",
    "ArrayLoader": "data",
    "Dataset": "data",
    "GrainLoader": "data",
    "Splits": "data",
    "Engine": "engine",
    "OwnLoop": "engine",
    "Event": "engine",
    "Events": "engine",
    "JaxtrainError": "errors",
    "Experiment": "run",
    "RunData": "run",
    "Task": "run",
    "Trained": "run",
    "choose_device": "run",
    "make_config": "run",
    "Accuracy": "metrics",
    "Loss": "metrics",
    "Metric": "metrics",
    "jit": "compiling",
    "Model": "models",
    "from_linen": "models",
    "from_nnx": "models",
    "TrainState": "step",
    "create_train_state": "step",
    "make_eval_step": "step",
    "make_train_step": "step",
}

__all__ = [
    "Accuracy",
    "ArrayLoader",
    "CheckpointStore",
    "ConfigDict",
    "Dataset",
    "Engine",
    "Event",
    "Events",
    "Experiment",
    "ExperimentConfig",
    "GrainLoader",
    "JaxtrainError",
    "Loss",
    "Metric",
    "Model",
    "OwnLoop",
    "RunData",
    "Splits",
    "Task",
    "TrainState",
    "Trained",
    "__version__",
    "checkpoint",
    "choose_device",
    "config",
    "create_train_state",
    "data",
    "engine",
    "errors",
    "from_linen",
    "from_nnx",
    "generation",
    "hooks",
    "jit",
    "lora",
    "make_config",
    "make_eval_step",
    "make_train_step",
    "metrics",
    "models",
    "optim",
    "parallel",
    "phases",
    "report",
    "retention",
    "run",
    "step",
    "sweeps",
    "tracking",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS or name in _UNLISTED:
        return importlib.import_module(f"jaxtrain.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"jaxtrain.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'jaxtrain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
