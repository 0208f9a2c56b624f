"""The learning-rate finder on a task: its model, loss, data and optimizer, without its schedule.

found = lr_find_of(task)
found.suggestion
"""

from __future__ import annotations

from typing import Any

from jaxtrain.run.step_options import step_options, without_schedule
from jaxtrain.run.task import Task
from jaxtrain.step import RateSweep, lr_find, make_train_step


def lr_find_of(task: Task, **options: Any) -> RateSweep:
    """`jaxtrain.step.lr_find` of the optimizer that the config of `task` names.

    The rate that it suggests is for the batches of the config: under `optimizer.batch_scaling` it
    is the peak, not `optimizer.learning_rate`. Rates of groups go with it in proportion.

    Args:
        task: nothing of it is trained; its schedule has no part in this.
        options: those of `lr_find`.

    Raises:
        ConfigError: as `lr_find`.
    """
    config = task.config
    tx = without_schedule(config)
    step = make_train_step(task.model, task.loss, tx, **step_options(config))
    state = task.initial_state()
    state = state.replace(opt_state=tx.init(state.params))
    return lr_find(step, state, task.loader, **options)
