"""Whether a step asks for its numbers whenever it is traced.

refuse_kept_traces(task, numbers)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxtrain.config import ExperimentConfig
from jaxtrain.errors import ConfigError
from jaxtrain.models import MODELS
from jaxtrain.optim import OPTIMIZERS, SCHEDULES
from jaxtrain.run.task import Task
from jaxtrain.step import LOSSES
from jaxtrain.varied import Numbers

_KEPT = "a function of the step is traced once, and keeps the numbers of that time"


def refuse_kept_traces(task: Task, numbers: Numbers) -> None:
    """See that a step asks for its numbers each time that it is traced.

    A function that JAX knows again, such as one that is jitted once for a whole module, is traced
    once: it would have for ever the numbers that it was first traced with. What is ours alone is
    left out: tests know how it is traced.

    Args:
        task: with a `Varied` in the place of each number.
        numbers: those that it takes to the device.

    Raises:
        ConfigError: one does not.
    """
    if _is_all_ours(task.config):
        return
    state, batch = task.abstract_state(), task.data.example()
    shapes = [jax.ShapeDtypeStruct((), slot.dtype) for slot in numbers.of_members([0])]

    def asked(step: Callable[..., Any]) -> set[Any]:
        read: set[Any] = set()

        def traced(slots: Sequence[Any], state: Any, batch: Any) -> Any:
            with numbers.reading(slots, read.add):
                return step(state, batch)

        jax.make_jaxpr(traced)(shapes, state, batch)
        return read

    jax.clear_caches()  # of what was traced while the numbers were looked for
    try:
        for step in (task.train_step, task.eval_step):
            if asked(step) != asked(step):
                raise ConfigError(_KEPT)
    except (jax.errors.UnexpectedTracerError, KeyError):
        raise ConfigError(_KEPT) from None
    finally:
        jax.clear_caches()


def _is_all_ours(config: ExperimentConfig) -> bool:
    """Whether nothing of the steps is a plugin's."""
    used = (
        MODELS[config.model.name],
        LOSSES[config.loss.name],
        OPTIMIZERS[config.optimizer.name],
        SCHEDULES[config.schedule.name],
    )
    return all(one.__module__.split(".")[0] == __name__.split(".")[0] for one in used)
