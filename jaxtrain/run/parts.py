"""An ExperimentConfig becomes objects: data, model, step and engines, made and connected.

    parts = Parts(make_config("configs/digits.py"))
    state, output = jax.jit(parts.train_step)(parts.initial_state(), next(iter(parts.loader)))

`Experiment` is these parts, and the runs that can be made with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.config import (
    ConfigDict,
    ExperimentConfig,
    check,
    from_cli_dotlist,
    import_plugin,
    load,
    merge,
)
from jaxtrain.data import SOURCES, ArrayLoader, Dataset, Splits, check_dataset, prefetch_to_device
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.hooks import HOOKS, History, Validation
from jaxtrain.metrics import Accuracy, Loss, MeanSquaredError, Metric
from jaxtrain.models import MODELS
from jaxtrain.optim import OPTIMIZERS, SCHEDULES, make_optimizer
from jaxtrain.step import LOSSES, TrainState, create_train_state, make_eval_step, make_train_step

REGISTRIES = {
    "data": SOURCES,
    "model": MODELS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "hooks": HOOKS,
}


def make_config(
    source: str | Path | Mapping[str, Any] | ConfigDict,
    overrides: Iterable[str] = (),
    *,
    plugins: Iterable[str] = (),
) -> ExperimentConfig:
    """Read and check a config. No device is initialised and nothing is written.

    Args:
        source: a config file, or the tree itself.
        overrides: `dotted.key=value` each.
        plugins: modules or .py files to import, because they register components.

    Raises:
        ConfigError: everything that is wrong with it, each with its key and where it was set.
    """
    tree = load(source) if isinstance(source, str | Path) else source
    tree = merge(tree, from_cli_dotlist(overrides))
    given = list(plugins)
    for plugin in given:
        import_plugin(plugin)
    # A config that is data must not execute anything, so what it lists is only remembered.
    listed = [str(p) for p in tree.get("plugins") or ()]
    tree = merge(tree, {"plugins": list(dict.fromkeys([*listed, *given]))})
    try:
        return check(tree, REGISTRIES)
    except ConfigError as error:
        missing = [plugin for plugin in listed if plugin not in given]
        if not missing:
            raise
        again = " ".join(f"--plugin {plugin}" for plugin in missing)
        raise ConfigError(f"{error}\n(the config was used with {again}; pass that again)") from None


class Parts:
    """The parts of a run, made and connected, each of them an attribute.

    Making one reads the data and initialises the device, but writes nothing.

    Args:
        config: a checked config.
        abstract: with a state of shapes alone; for a plan, which computes nothing.

    Attributes:
        splits: the data sets.
        loader: batches of the training set, with a cursor.
        model: the model.
        loss: the loss.
        tx: the optimizer.
        train_step: the step that the trainer runs, not compiled.
        trainer: the training engine; attach your own handlers to it.
        evaluator: the evaluating engine.
        history: one row of metrics an epoch.

    Raises:
        ConfigError: data that is missing, a device that is not there, a monitor nobody provides.
        DataError: data that is broken.
    """

    def __init__(self, config: ExperimentConfig, *, abstract: bool = False) -> None:
        self.config = config
        _choose_device(config.device)
        data = config.data
        self.splits: Splits = SOURCES.build(
            data, validation_fraction=data.validation_fraction, seed=config.seed
        )
        train = self.splits.train
        for dataset in (train, self.splits.validation, self.splits.test):
            if dataset is not None:
                _refuse_broken(dataset)
        form = None if config.train.form == "auto" else config.train.form
        self.loader: Any = ArrayLoader(
            train,
            batch_size=data.batch_size,
            shuffle=data.shuffle,
            seed=config.seed,
            last_batch=data.last_batch,
        )
        if form == "single":  # the fused form keeps the data on the device, or stacks it ahead
            self.loader = prefetch_to_device(self.loader, data.prefetch)
        self.model = MODELS.build(config.model, num_outputs=train.num_outputs)
        self.loss = LOSSES.build(config.loss)
        total_steps = config.train.epochs * self.loader.steps_per_epoch
        self.tx = make_optimizer(config.optimizer, config.schedule, total_steps)

        state = jax.eval_shape(self.initial_state) if abstract else self.initial_state()
        self.train_step = make_train_step(
            self.model,
            self.loss,
            self.tx,
            precision=config.precision,
            clip_norm=config.optimizer.clip_norm,
            accumulate=config.train.accumulate,
        )
        eval_step = make_eval_step(self.model, self.loss, precision=config.precision)
        self._refuse_misfit(state)

        self.trainer = Engine(self.train_step, state, form=form)
        self.trainer.add_metrics({f"train/{n}": m for n, m in self.metrics().items()})
        self.evaluator = Engine(eval_step, state, form=form)
        self.evaluator.add_metrics(self.metrics())
        self.history = History()
        if self.splits.validation is not None:
            validation = Validation(self.evaluator, self.eval_loader(self.splits.validation))
            self.trainer.attach(validation, "validation")
        self.trainer.attach(self.history, "history")

    # -- parts ---------------------------------------------------------------------------------

    def initial_state(self) -> TrainState:
        """A fresh TrainState, a function of the config's seed alone."""
        return create_train_state(
            self.model,
            self.tx,
            self._example(),
            rng=jax.random.key(self.config.seed),
            precision=self.config.precision,
        )

    def metrics(self) -> dict[str, Metric[Any]]:
        """The metrics that fit the task, by their bare names."""
        if self.splits.train.task == "regression":
            return {"loss": Loss(), "mse": MeanSquaredError()}
        return {"loss": Loss(), "accuracy": Accuracy()}

    def parameter_count(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(self._state.params))

    @property
    def _state(self) -> TrainState:
        state: TrainState = self.trainer.state.train_state
        return state

    def _example(self) -> dict[str, np.ndarray]:
        """A batch, for its shapes."""
        size = self.config.data.batch_size
        arrays = self.splits.train.arrays
        batch = {name: np.resize(a[:1], (size, *a.shape[1:])) for name, a in arrays.items()}
        if self.config.data.last_batch == "pad":
            batch["mask"] = np.ones(size, np.float32)
        return batch

    def _refuse_misfit(self, state: TrainState) -> None:
        """Shapes and dtypes that don't go together show themselves before anything is made."""
        try:
            jax.eval_shape(self.train_step, state, self._example())
        except (TypeError, ValueError) as error:
            config = self.config
            raise ConfigError(
                f"data {config.data.name!r}, model {config.model.name!r}, loss "
                f"{config.loss.name!r} and the other options do not fit together: {error}"
            ) from error

    def eval_loader(self, dataset: Dataset) -> ArrayLoader:
        """Batches of a data set in its own order, every row of it once."""
        size = self.config.data.eval_batch_size or self.config.data.batch_size
        # Always padded: dropping the last batch would leave examples out of the figures.
        return ArrayLoader(dataset, batch_size=min(size, len(dataset)), shuffle=False)


def _choose_device(device: str) -> None:
    """Run on `device`, and initialise no other; JAX fixes this when it is first used."""
    if device == "auto":
        return
    before = getattr(jax.config, "jax_platforms")  # noqa: B009  (mypy does not know it)
    jax.config.update("jax_platforms", device)
    try:
        found = jax.default_backend()
    except RuntimeError as error:
        jax.config.update("jax_platforms", before)
        raise ConfigError(
            f"device: {device!r} can't be used here: {error}. Use device: auto"
            + (", or install jaxtrain[cuda]" if device == "gpu" else "")
        ) from error
    if found != device:
        jax.config.update("jax_platforms", before)
        raise ConfigError(
            f"device: expected {device!r}, but JAX runs on {found!r} in this process already; "
            "use device: auto, or set the device before JAX is used"
        )


def _refuse_broken(dataset: Dataset) -> None:
    bad = [f for f in check_dataset(dataset) if not f.ok and f.name != "class balance"]
    if bad:
        raise DataError("\n".join(f"{dataset.name}: {f.name}: {f.detail}" for f in bad))
