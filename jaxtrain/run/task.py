"""Task: what is learned, and how: model, loss, optimizer and steps that fit the data.

    task = Task.of(RunData.of(make_config("configs/digits.py")))
    step = jt.jit(task.train_step)
    state, output = step(task.initial_state(), next(iter(task.data.loader)))

The second stage, between `RunData` and `Experiment`. It holds no array and writes nothing: any
number of runs can be made of one. With parts of one's own instead of those that the config names:

    task = Task.of(data, model=from_linen(MyModule()), loss=my_loss)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
import optax

from jaxtrain.config import ExperimentConfig
from jaxtrain.data import on_mesh
from jaxtrain.errors import ConfigError
from jaxtrain.lora import Penalty
from jaxtrain.metrics import HostMetric, Metric, is_host_metric
from jaxtrain.models import Model
from jaxtrain.optim import evaluates_others, make_optimizer
from jaxtrain.parallel import Layout
from jaxtrain.run.building import (
    adapter_config,
    base_model,
    layout_of,
    on_layout,
    optimizer_form,
    protection_of,
    with_adapter,
)
from jaxtrain.run.data import RunData
from jaxtrain.run.device import refuse_other_device
from jaxtrain.run.figures import loss_for, metrics_for
from jaxtrain.run.fitting import (
    fitting,
    refuse_other_loss,
    refuse_other_outputs,
    refuse_other_vocabulary,
    refuse_unread,
)
from jaxtrain.run.parameters import Parameters, starting_from
from jaxtrain.run.step_options import step_options
from jaxtrain.step import (
    TrainState,
    create_train_state,
    forward,
    make_eval_step,
    make_train_step,
    policy,
    streams,
)

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
        parameters: where those of a run that begins come from.
        layout: how the TrainState lies on the mesh of the config; None for one device.
    """

    data: RunData
    model: Model
    loss: Any
    tx: optax.GradientTransformation
    train_step: Step
    eval_step: Step
    parameters: Parameters
    layout: Layout | None = None

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
            model: in the place of that of the config's section `model`.
            loss: in the place of the config's.
            tx: in the place of the config's optimizer and schedule.

        Raises:
            DataError: the data are broken.
            ConfigError: the parts don't fit each other or the data, or JAX runs on another device.
        """
        config = data.config
        refuse_other_device(config.device)
        data.refuse_broken()
        by_config = loss is None
        if by_config:
            refuse_other_loss(data)
        whose = f"model {config.model.name!r}" if model is None else "the model"
        if model is None:
            refuse_other_vocabulary(data)
            model = base_model(config, data.train.num_outputs, data.example())
        if config.start is not None:
            model = starting_from(model, config.start)
            whose = f"{whose}, with start.path {config.start.path!r}"
        if config.lora is not None and config.lora.protect.previous_kl:
            _refuse_no_distribution(data)
        base, model = model, with_adapter(model, config)
        loss = loss_for(config, class_counts=data.class_counts()) if by_config else loss
        own_tx = tx is not None
        if tx is None:
            steps = data.loader.steps_per_epoch
            tx = make_optimizer(
                config.optimizer,
                config.schedule,
                config.train.epochs * steps,
                steps_per_epoch=steps,
                batch_size=config.data.batch_size,
            )
        layout = layout_of(config, model)
        model = on_layout(model, layout, config.train.virtual_shards)
        mesh = None if layout is None or config.train.virtual_shards is None else layout.mesh
        train_step = make_train_step(model, loss, tx, mesh=mesh, **step_options(config))
        averaged = config.train.ema is not None
        eval_step = make_eval_step(
            model,
            loss,
            precision=config.precision,
            ema=averaged,
            virtual_shards=config.train.virtual_shards,
            mesh=mesh,
        )
        parameters = Parameters(
            model,
            base,
            adapter_config(config),
            whose,
            protection_of(config),
            None if config.lora is None else config.lora.quantize,
            config.start,
        )
        task = cls(data, model, loss, tx, train_step, eval_step, parameters, layout)
        task._refuse_misfit_average(whose, own_tx=own_tx)
        task._refuse_misfit(whose, by_config=by_config)
        return task

    @property
    def config(self) -> ExperimentConfig:
        """The config that it was made of."""
        return self.data.config

    def initial_state(self, key: jax.Array | None = None) -> TrainState:
        """The TrainState that a run begins with.

        A function of the config's seed alone; or, where parameters are loaded from files, of these
        and the seed.

        Args:
            key: in the place of the seed's, `jax.random.key(seed)`. It may be traced where
                nothing is read from files, and there is no adapter.

        Raises:
            ConfigError: the files are not there, or are those of another model.
            DataError: they are broken.
        """
        key = self._key if key is None else key
        given = self.parameters.begin(self._zeros(), key, self.abstract_state())
        if self.layout is not None:
            given = {name: self.layout.place(tree) for name, tree in given.items()}
        carried = given.pop("model_state", None)
        state = self._made(key, **given)
        return state if carried is None else state.replace(model_state=carried)

    def fresh_state(self) -> TrainState:
        """A TrainState of what the model makes by itself, no file read.

        The base of an adapter has then learnt nothing; where the adapter depends on it (DoRA,
        PiSSA), it is NaN.
        """
        return self._made(self._key, frozen="init")

    def _made(self, key: jax.Array, **given: Any) -> TrainState:
        """A TrainState with these arrays in it, where it is to lie from its first moment on."""
        if self.layout is None:
            return self._state(self._zeros(), key, **given)
        words = {name: word for name, word in given.items() if isinstance(word, str)}
        trees = {name: tree for name, tree in given.items() if name not in words}

        def make(batch: Any, key: jax.Array, trees: Any) -> TrainState:
            # Given arrays do not go through here: they would be copied.
            made = self._state(batch, key, **words, **trees)
            return made.replace(**dict.fromkeys(trees))

        return self.layout.create(make, self._zeros(), key, trees).replace(**trees)

    def _state(self, batch: Any, key: jax.Array, **given: Any) -> TrainState:
        return create_train_state(
            self.model,
            self.tx,
            batch,
            rng=key,
            precision=self.config.precision,
            ema=self.config.train.ema is not None,
            **given,
        )

    @property
    def _key(self) -> jax.Array:
        return jax.random.key(self.config.seed)

    def _zeros(self) -> dict[str, np.ndarray]:
        return {n: np.zeros(x.shape, x.dtype) for n, x in self.data.example().items()}

    def abstract_state(self) -> TrainState:
        """The shapes and dtypes of the TrainState, as `jax.ShapeDtypeStruct`s; no file is read."""
        return self._abstract_state

    @cached_property
    def _abstract_state(self) -> TrainState:
        # The key is made within, where it is only traced: no device is touched for shapes.
        state: TrainState = jax.eval_shape(
            lambda batch: self._state(batch, self._key, frozen="init"), self._zeros()
        )
        return state if self.layout is None else self.layout.abstract(state)

    @cached_property
    def loader(self) -> Any:
        """What training reads: the loader of the data, laid out over the mesh where there is one.

        Raises:
            ConfigError: a batch does not divide into the mesh's parts.
        """
        return self._laid_out(self.data.loader)

    def eval_loader(self, name: str) -> Any:
        """Batches of a set in its own order, every row of it once, likewise.

        Raises:
            ValueError: the run has no such set.
        """
        return self._laid_out(self.data.eval_loader(name))

    def _laid_out(self, loader: Any) -> Any:
        return loader if self.layout is None else on_mesh(loader, self.layout.mesh)

    def parameter_count(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(self.abstract_state().params))

    def facts(self) -> dict[str, str]:
        """What the model decides before it is traced, such as its attention kernel, in words."""
        return dict(self._facts)

    @cached_property
    def _facts(self) -> dict[str, str]:
        if self.model.facts is None:
            return {}
        dtype = policy(self.config.precision).compute_dtype
        return dict(self.model.facts(self.data.example(), dtype))

    def metrics(self) -> dict[str, Metric[Any] | HostMetric]:
        """The metrics that the config names, or else those that fit the task, by bare names."""
        train = self.data.train
        return metrics_for(
            self.config,
            task=train.task,
            num_outputs=train.num_outputs,
            scale=self.data.splits.target_scale,
        )

    def train_metrics(self) -> dict[str, Metric[Any] | HostMetric]:
        """Those of them that are computed in training, and what protections add to the loss there.

        `penalty` is that; `loss` is what is minimised: without the penalty it is that of the task.

        Those that are updated on the host are computed in evaluations alone. In training each would
        make a dispatch of every iteration, and what it has seen is in no checkpoint: a run that was
        killed within an epoch could not go on to the same figure.
        """
        found = {n: metric for n, metric in self.metrics().items() if not is_host_metric(metric)}
        protection = self.parameters.protection
        if protection is not None and protection.penalties:
            found.setdefault("penalty", Penalty(protection))
        return found

    def _refuse_misfit_average(self, model: str, *, own_tx: bool) -> None:
        """An optimizer that averages what it trains wants no schedule, and no average beside it.

        Args:
            model: what to call it.
            own_tx: whether the optimizer is not the config's.
        """
        config = self.config
        with fitting(model):
            state = self.abstract_state()
            said = jax.eval_shape(optimizer_form(config).init, state.params) if own_tx else None
        name = f"optimizer {config.optimizer.name!r}"
        if own_tx and (evaluates_others(state.opt_state) or evaluates_others(said)):
            raise ConfigError(
                "tx: what it trains, or what the config's optimizer would, is not what is to be "
                "evaluated, and who reads a checkpoint goes by the config; name the optimizer in "
                "the config (a plugin can add one), or take it with an engine of your own"
            )
        if not evaluates_others(state.opt_state):
            return
        if config.schedule.name != "constant":
            raise ConfigError(
                f"schedule: {name} averages what it trains in the place of a schedule, and wants a "
                f"rate that stays (a warm-up may stand before it); found {config.schedule.name!r}; "
                "take schedule.name=constant"
            )
        if config.train.ema is not None:
            raise ConfigError(
                f"train.ema: {name} keeps an average of its own, and that is what is evaluated; "
                "leave out train.ema, or take another optimizer"
            )

    def _refuse_misfit(self, model: str, *, by_config: bool) -> None:
        """Shapes and dtypes that don't go together show themselves before anything is computed.

        Args:
            model: what to call it.
            by_config: whether the loss is the config's, which is known to read classes or targets.
        """
        config = self.config
        with fitting(model):
            state = self.abstract_state()
            seen = jax.eval_shape(self._pass, state, self.data.example())
        if by_config:
            refuse_other_outputs(self.data, seen.outputs, self.data.example(), model=model)
        with fitting(
            f"data {config.data.name!r}, {model}, loss {config.loss.name!r} and"
            " the other options do not fit together"
        ):
            _, output = jax.eval_shape(self.train_step, state, self.data.example())
        outputs = {"train": output}
        for name in self.data.sets:
            with fitting(f"the {name} set does not fit {model} and the loss"):
                batch = self.data.eval_loader(name).example()
                _, outputs[f"eval {name}"] = jax.eval_shape(self.eval_step, state, batch)
        for key, metric in self.metrics().items():
            with fitting(f"metrics.{key} does not fit what the step gives"):
                for output in outputs.values():
                    refuse_unread(metric, output)

    def _pass(self, state: TrainState, batch: Mapping[str, Any]) -> Any:
        """The model alone, in training."""
        run = forward(self.model, self.config.precision)
        return run(state.variables(), batch, train=True, rngs=streams(state.rng))


def _refuse_no_distribution(data: RunData) -> None:
    """Targets of several columns have the shape of logits, and would be taken for some."""
    if data.train.task == "regression":
        raise ConfigError(
            "lora.protect.previous_kl: what predicts numbers has no distribution to stay near to; "
            "found a regression; leave it 0"
        )
