"""Task: what is learned, and how: model, loss, optimizer and steps that fit the data.

    task = Task.of(RunData.of(make_config("configs/digits.py")))
    step = jax.jit(task.train_step)
    state, output = step(task.initial_state(), next(iter(task.data.loader)))

The second stage, between `RunData` and `Experiment`. It holds no array and writes nothing: any
number of runs can be made of one. With parts of one's own instead of those that the config names:

    task = Task.of(data, model=from_linen(MyModule()), loss=my_loss)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
import optax
from flax.errors import FlaxError

from jaxtrain.config import ExperimentConfig
from jaxtrain.errors import ConfigError
from jaxtrain.metrics import Accuracy, Loss, MeanSquaredError, Metric
from jaxtrain.metrics.registry import METRICS
from jaxtrain.models import MODELS, Model
from jaxtrain.optim import make_optimizer
from jaxtrain.run.data import RunData
from jaxtrain.run.device import refuse_other_device
from jaxtrain.step import LOSSES, TrainState, create_train_state, make_eval_step, make_train_step

Step = Callable[[TrainState, Mapping[str, Any]], tuple[TrainState, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Task:
    """Parts that fit each other. The steps are pure and not compiled.

    Args:
        data: the stage before.
        model: the model.
        loss: the loss.
        tx: the optimizer, its schedule in it.
        train_step: the very step that a run takes, accumulation and clipping included.
        eval_step: the step of an evaluation.
    """

    data: RunData
    model: Model
    loss: Any
    tx: optax.GradientTransformation
    train_step: Step
    eval_step: Step

    @classmethod
    def of(
        cls,
        data: RunData,
        *,
        model: Model | None = None,
        loss: Any = None,
        tx: optax.GradientTransformation | None = None,
    ) -> Task:
        """The task that the config of `data` describes.

        Args:
            data: the data.
            model: in the place of the config's.
            loss: in the place of the config's.
            tx: in the place of the config's optimizer and schedule.

        Raises:
            DataError: the data are broken.
            ConfigError: the parts don't fit each other or the data, or JAX runs on another device.
        """
        config = data.config
        refuse_other_device(config.device)
        data.refuse_broken()
        model = model or MODELS.build(config.model, num_outputs=data.train.num_outputs)
        loss = loss or LOSSES.build(config.loss)
        if tx is None:
            total_steps = config.train.epochs * data.loader.steps_per_epoch
            tx = make_optimizer(config.optimizer, config.schedule, total_steps)
        train_step = make_train_step(model, loss, tx, **step_options(config))
        eval_step = make_eval_step(model, loss, precision=config.precision)
        task = cls(data, model, loss, tx, train_step, eval_step)
        task._refuse_misfit()
        return task

    @property
    def config(self) -> ExperimentConfig:
        """The config that it was made of."""
        return self.data.config

    def initial_state(self) -> TrainState:
        """A fresh TrainState, a function of the config's seed alone."""
        batch = {n: np.zeros(x.shape, x.dtype) for n, x in self.data.example().items()}
        return create_train_state(
            self.model,
            self.tx,
            batch,
            rng=jax.random.key(self.config.seed),
            precision=self.config.precision,
        )

    def abstract_state(self) -> TrainState:
        """The shapes and dtypes of the TrainState, as `jax.ShapeDtypeStruct`s."""
        return self._abstract_state

    @cached_property
    def _abstract_state(self) -> TrainState:
        state: TrainState = jax.eval_shape(self.initial_state)
        return state

    def parameter_count(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(self.abstract_state().params))

    def metrics(self) -> dict[str, Metric[Any]]:
        """The metrics that the config names, or else those that fit the task, by bare names."""
        train, wanted = self.data.train, self.config.metrics
        if wanted is not None:
            return {
                key: METRICS.build(section, num_outputs=train.num_outputs)
                for key, section in wanted.items()
            }
        if train.task == "regression":
            return {"loss": Loss(), "mse": MeanSquaredError()}
        return {"loss": Loss(), "accuracy": Accuracy()}

    def _refuse_misfit(self) -> None:
        """Shapes and dtypes that don't go together show themselves before anything is computed."""
        config = self.config
        with _fitting(
            f"data {config.data.name!r}, model {config.model.name!r}, loss {config.loss.name!r} "
            "and the other options do not fit together"
        ):
            state = self.abstract_state()
            _, output = jax.eval_shape(self.train_step, state, self.data.example())
        outputs = {"train": output}
        for name in self.data.sets:
            with _fitting(f"the {name} set does not fit model {config.model.name!r} and the loss"):
                batch = self.data.eval_loader(name).example()
                _, outputs[f"eval {name}"] = jax.eval_shape(self.eval_step, state, batch)
        for key, metric in self.metrics().items():
            with _fitting(f"metrics.{key} does not fit what the step gives"):
                for output in outputs.values():
                    jax.eval_shape(metric.update, jax.eval_shape(metric.empty), output)


@contextmanager
def _fitting(what: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, FlaxError) as error:
        raise ConfigError(f"{what}: {error}") from error


def step_options(config: ExperimentConfig) -> dict[str, Any]:
    """What `make_train_step` is to know of a config, besides model, loss and optimizer."""
    return {
        "precision": config.precision,
        "clip_norm": config.optimizer.clip_norm,
        "accumulate": config.train.accumulate,
    }
