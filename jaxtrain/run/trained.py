"""Trained: a model as a checkpoint holds it, to be evaluated or to predict with.

    trained = Trained.load("runs/penguins/seed0-1a2b3c4d")        # its best checkpoint
    trained.predict(trained.read("new.csv").inputs)               # [B, K] probabilities
    for name, rows in trained.sets().items():
        trained.evaluate(rows)

The checkpoint is the truth: its config, and what was fitted on the training rows, are part of it.
Neither config.yaml nor the training file is read. Axis letters: B rows, K classes, D columns of a
target.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain import lora
from jaxtrain.batch import ROW_MASK
from jaxtrain.checkpoint import CheckpointStore, Saved, refuse_nonfinite
from jaxtrain.config import ExperimentConfig, diff, imported_digests
from jaxtrain.data import READERS, Dataset, NewRows, QuestionRows, Reader, Rows, read_inputs
from jaxtrain.engine import Engine
from jaxtrain.errors import CheckpointError, ConfigError, NonFiniteError
from jaxtrain.lora import Adapter
from jaxtrain.models import Model
from jaxtrain.models.causal_lm import max_length_of
from jaxtrain.optim import evaluates_others
from jaxtrain.parallel import Layout
from jaxtrain.run.answering import answers
from jaxtrain.run.building import build_model, optimizer_form, protection_of
from jaxtrain.run.data import differences, evaluation_loader, fingerprints, read_splits
from jaxtrain.run.figures import loss_for, metrics_for
from jaxtrain.run.found import find_checkpoint
from jaxtrain.run.learnt import Learnt
from jaxtrain.run.registries import make_config
from jaxtrain.step import TrainState, average_of, create_train_state, forward, make_eval_step

# What says where the data lie, how a file is written, and what is made of the figures. All else in
# the config decided what was learnt, or which rows were held out.
_MAY_CHANGE_AFTER_A_RUN = (
    "device",
    "distributed",
    "hooks",
    "mesh",
    "metrics",
    "plugins",
    "workdir",
    "start.path",
    "data.cache",
    "data.decimal",
    "data.delimiter",
    "data.download",
    "data.encoding",
    "data.eval_batch_size",
    "data.file",
    "data.mirror",
    "data.missing",
    "data.path",
    "data.prefetch",
    "data.root",
    "data.test",
    "data.thousands",
    "data.tokenizer",
    "data.train",
    "data.unlabelled",
    "data.unreadable",
    "data.validation",
    "data.workers",
)
_BATCH = 1024
"""Rows of a prediction's batch, where the config names no `eval_batch_size`: one compilation."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Parameters, and all that is needed to use them.

    Attributes:
        path: the checkpoint.
        meta: what it says of itself.
        config: the config that it was trained with, with what may be said otherwise now.
        learnt: what there was to learn, and what was fitted.
        model: the config's.
        state: the TrainState, without an optimizer's; its `params` are those that the run has
            evaluated: an average of what it trained, where it kept one.
    """

    path: Path
    meta: Mapping[str, Any]
    config: ExperimentConfig
    learnt: Learnt
    model: Model
    state: TrainState

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        overrides: Iterable[str] = (),
        *,
        plugins: Iterable[str] = (),
        layout: Layout | None = None,
    ) -> Trained:
        """The model in a checkpoint, verified.

        Args:
            path: a run directory, of which the best checkpoint is taken, or a checkpoint.
            overrides: `dotted.key=value` each, of keys that have no part in what was learnt:
                where the data lie, the device, the metrics.
            plugins: modules or .py files to import; the checkpoint's own record imports nothing.
            layout: where the arrays are to lie, each device's pieces read alone; by default whole
                on one device, whatever mesh they were trained on.

        Raises:
            ConfigError: nothing is there, or an override would make another run of it.
            CheckpointError: it can't be read, or is none of a run.
            CheckpointMismatchError: its arrays are not those of the model that its config names.
            NonFiniteError: a parameter is NaN or Inf.
        """
        checkpoint = find_checkpoint(Path(path))
        config, learnt, model = _said(checkpoint, overrides, plugins)
        store = CheckpointStore(checkpoint.path.parent, asynchronous=False)
        state = _read(store, checkpoint, _template(model, config, learnt), config, layout)
        refuse_nonfinite(state.variables(), str(checkpoint.path))
        return cls(checkpoint.path, checkpoint.meta, config, learnt, model, state)

    def merged(self) -> Any:
        """The parameters of the config's `model`, what an adapter has learnt among them."""
        adapter = self.adapter()
        return self.state.params if adapter is None else lora.merge(self.base(), adapter)

    def adapter(self) -> Adapter | None:
        """What was trained, as it acts; None where that was the whole model."""
        return lora.adapter_of(self.state) if isinstance(self.state.params, Adapter) else None

    def base(self) -> Any:
        """The parameters that an adapter stands beside.

        Raises:
            ConfigError: there is no adapter.
        """
        if self.config.lora is None:
            raise ConfigError(f"{self.path}: has no adapter, and so no base beside it")
        return lora.base_of(self.state.frozen, protection_of(self.config))

    # -- evaluation ----------------------------------------------------------------------------

    def sets(self) -> tuple[dict[str, Rows], list[str]]:
        """The sets of the run, read with what was fitted then; and how they differ from them.

        Returns:
            By "train", "validation" and "test", what is still there; and a line for each set that
            is not as it was.

        Raises:
            ConfigError: none of them is there any more.
            DataError: they can't be read.
        """
        splits = read_splits(self.config, fitted=self.learnt.reader)
        before = self.meta.get("data")
        before = before if isinstance(before, dict) else {}
        now = fingerprints(self.config, splits)
        gone = [
            f"the {name} set is not there any more"
            for name in sorted(before.keys() - splits.sets.keys())
        ]
        kept = {name: saved for name, saved in before.items() if name in splits.sets}
        return splits.sets, [*gone, *differences(kept, now)]

    def changed_plugins(self) -> list[str]:
        """A line for each plugin that is not as it was when the checkpoint was written."""
        saved = self.meta.get("plugins")
        saved = saved if isinstance(saved, dict) else {}
        # Of those that were imported: what a checkpoint lists must not be executed for it.
        now = imported_digests(self.config.plugins)
        return [
            f"the plugin {target} was changed since"
            for target, digest in now.items()
            if target in saved and digest != saved[target]
        ]

    def evaluate(self, rows: Rows) -> dict[str, float]:
        """Metrics by name, of every row; of questions also which choice the model takes.

        Raises:
            NonFiniteError: the loss is NaN or Inf.
        """
        loss = loss_for(self.config, class_counts=self.learnt.class_counts)
        step = make_eval_step(self.model, loss, precision=self.config.precision)
        form = None if self.config.train.form == "auto" else self.config.train.form
        evaluator = Engine(step, self.state, form=form)
        learnt = self.learnt
        evaluator.add_metrics(
            metrics_for(
                self.config,
                task=learnt.task,
                num_outputs=learnt.num_outputs,
                scale=learnt.scale,
            )
        )
        figures = dict(evaluator.run(evaluation_loader(self.config, rows)).metrics)
        if not np.isfinite(figures.get("loss", 0.0)):
            raise NonFiniteError(
                f"{self.path}: the loss on {rows.name} is {figures['loss']}, though all parameters "
                "are finite; `check` looks for what is wrong with the data"
            )
        if isinstance(rows, QuestionRows):
            answered = answers(
                self.reader(),
                self.model,
                self.state.variables(),
                rows,
                max_length=max_length_of(self.config.model, self.learnt.num_outputs),
                precision=self.config.precision,
            )
            figures |= answered.figures()
        return figures

    # -- prediction ----------------------------------------------------------------------------

    def read(self, path: str | os.PathLike[str]) -> NewRows:
        """New rows, read as the training rows were.

        Args:
            path: what the run's source reads: a table, a folder of images, a file of arrays. For a
                source without a reader, a `.npz` or `.npy` file of inputs as the model takes them.

        Raises:
            ConfigError: it is not there, or of another kind than the run's data.
            DataError: it is broken.
        """
        reader = self.reader()
        if reader is not None:
            return reader.read(Path(path))
        return read_inputs(Path(path), self.learnt.batch())

    def reader(self) -> Reader | None:
        """The reader that was fitted on the training rows; None for a source without one.

        Raises:
            DataError: what it says of itself is broken, or a file that it needs is another now.
        """
        if self.learnt.reader is None or self.config.data.name not in READERS.names():
            return None
        reader: Reader = READERS.build(self.config.data, state=self.learnt.reader)
        return reader

    def dataset(self, rows: NewRows) -> Dataset:
        """Those of the new rows that have a label, to be evaluated.

        Raises:
            ConfigError: none of them has.
        """
        known = slice(None) if rows.known is None else rows.known
        if rows.labels is None or not len(rows.labels[known]):
            raise ConfigError("none of the rows has a target; predict takes them, evaluate can't")
        return Dataset(
            rows.inputs[known],
            rows.labels[known],
            name="input",
            task=self.learnt.task,
            num_outputs=self.learnt.num_outputs,
            label_names=self.learnt.label_names,
        )

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """What the model says of `inputs`.

        Args:
            inputs: `[B, ...]` as the model takes them.

        Returns:
            Of a classification the probabilities `[B, K]`, float32; of a regression the values
            `[B, D]`, float64 in the unit of the data.

        Raises:
            ConfigError: the model reads something else than `inputs`, or arrays of another shape.
            NonFiniteError: something that it says is NaN or Inf.
        """
        outputs = self._outputs(inputs)
        bad = ~np.isfinite(outputs).all(axis=1)
        if bad.any():
            raise NonFiniteError(
                f"{self.path}: the prediction for row {int(bad.argmax()) + 1} is not finite, nor "
                f"are {int(bad.sum()) - 1:,} others; `check` looks for what is wrong"
            )
        if self.learnt.task == "classification":
            return np.asarray(jax.nn.softmax(outputs, axis=-1))
        scale = self.learnt.scale
        return np.asarray(outputs, np.float64) if scale is None else scale.in_unit(outputs)

    def _outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Of all rows, batch by batch, the last one filled up: `[B, K or D]`."""
        example = self.learnt.batch()
        wanted = [name for name in example if name not in ("labels", ROW_MASK)]
        if wanted != ["inputs"]:
            raise ConfigError(
                f"the model reads {', '.join(wanted) or 'nothing'}; prediction knows 'inputs' "
                "alone. Call trained.model.apply(trained.state.variables(), batch, train=False)"
            )
        expected = example["inputs"]
        if inputs.shape[1:] != expected.shape[1:] or inputs.dtype != expected.dtype:
            raise ConfigError(
                f"inputs: expected rows of {list(expected.shape[1:])} {expected.dtype}, found "
                f"{list(inputs.shape[1:])} {inputs.dtype}"
            )
        size = min(self.config.data.eval_batch_size or _BATCH, len(inputs))
        run = forward(self.model, self.config.precision)

        @jax.jit
        def outputs_of(variables: Any, inputs: Any, row_mask: Any) -> Any:
            batch = {"inputs": inputs, ROW_MASK: row_mask}
            return run(variables, batch, train=False, rngs={}).outputs

        parts = []
        for first in range(0, len(inputs), size):
            rows = inputs[first : first + size]
            filled = np.zeros((size, *rows.shape[1:]), rows.dtype)
            filled[: len(rows)] = rows
            mask = (np.arange(size) < len(rows)).astype(np.float32)
            outputs = self._one_array(outputs_of(self.state.variables(), filled, mask))
            parts.append(outputs[: len(rows)])
        return np.concatenate(parts)

    def _one_array(self, outputs: Any) -> np.ndarray:
        """What the loss reads of a model's outputs: `[B, K or D]`."""
        named, wanted = getattr(self.config.loss, "outputs", None), self.learnt.num_outputs
        if named is not None and isinstance(outputs, Mapping) and named in outputs:
            outputs = outputs[named]
        if not jax.tree_util.all_leaves([outputs]):
            raise ConfigError(
                f"the model puts out a {type(outputs).__name__}, of which loss.outputs names none; "
                "call trained.model.apply(trained.state.variables(), batch, train=False)"
            )
        found = np.asarray(outputs, np.float32)
        if found.ndim == 1 and wanted == 1:
            found = found[:, None]
        if found.ndim != 2 or found.shape[1] != wanted:
            raise ConfigError(
                f"the model puts out {list(found.shape)}; prediction knows rows of {wanted} "
                "numbers. Call trained.model.apply(trained.state.variables(), batch, train=False)"
            )
        return found


def form_of(checkpoint: Saved) -> tuple[Any, Any]:
    """Shapes and dtypes of what `Trained.load` finds there: no array is read.

    Returns:
        Of `merged()`, and of the model's other collections.

    Raises:
        CheckpointError: it is no checkpoint of a run.
    """
    config, learnt, model = _said(checkpoint)
    state = _template(model, config, learnt)
    if isinstance(state.params, Adapter):
        base = lora.base_of(state.frozen, protection_of(config))
        return jax.eval_shape(lora.dequantize, base), state.model_state
    return state.params, state.model_state


def _said(
    checkpoint: Saved, overrides: Iterable[str] = (), plugins: Iterable[str] = ()
) -> tuple[ExperimentConfig, Learnt, Model]:
    """What a checkpoint says of itself: its config, what was learnt, and so the model."""
    meta, where = checkpoint.meta, f"{checkpoint.path / 'meta.json'}"
    if not isinstance(meta.get("config"), dict) or "learnt" not in meta:
        raise CheckpointError(
            f"{where}: holds neither the config nor what was learnt: it was saved by hand, or "
            "by an earlier version. store.load(...) reads its arrays"
        )
    learnt = Learnt.from_json(meta["learnt"], where=where)
    config = _configured(meta["config"], overrides, list(plugins), where)
    return config, learnt, build_model(config, learnt.num_outputs, learnt.batch())


def _configured(
    saved: Mapping[str, Any], overrides: Iterable[str], plugins: Collection[str], where: str
) -> ExperimentConfig:
    """The config of the checkpoint, with overrides that make no other run of it."""
    try:
        before = make_config(saved, plugins=plugins)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    now = make_config(saved, overrides, plugins=plugins)
    wrong = [
        f"{key}: {now_is!r} now, {was!r} in the run"
        for key, was, now_is in diff(before, now)
        if not any(f"{key}.".startswith(f"{free}.") for free in _MAY_CHANGE_AFTER_A_RUN)
    ]
    if wrong:
        raise ConfigError(
            "an evaluation has the model, the split and the options of its run; leave out\n  "
            + "\n  ".join(wrong)
        )
    return now


def _read(
    store: CheckpointStore,
    checkpoint: Saved,
    template: TrainState,
    config: ExperimentConfig,
    layout: Layout | None = None,
) -> TrainState:
    """The state without what training alone needs; its `params` are those that were evaluated."""
    unread = ["loss_scale"]
    wanted = template
    if config.train.ema is not None:
        unread += ["opt_state", "params"]
        average = jax.eval_shape(average_of, template.params)
        wanted = template.replace(params=None, opt_state=(), ema=average)
    else:
        unread += ["ema"] if evaluates_others(template.opt_state) else ["ema", "opt_state"]
    if layout is not None:
        wanted = layout.abstract(wanted)
    state, _ = store.load(
        checkpoint, wanted, part="train_state", without=[f"train_state/{n}" for n in unread]
    )
    if state.evaluated() is state.params:
        return state
    params = jax.tree.map(lambda x, as_: x.astype(as_.dtype), state.evaluated(), template.params)
    return state.replace(params=params, opt_state=(), ema=None)


def _template(model: Model, config: ExperimentConfig, learnt: Learnt) -> TrainState:
    """Shapes and dtypes of what is read of the checkpoint."""

    def create() -> TrainState:
        batch = {n: jnp.zeros(x.shape, x.dtype) for n, x in learnt.batch().items()}
        key = jax.random.key(config.seed)
        made = create_train_state(model, optimizer_form(config), batch, rng=key, frozen="init")
        # Of most optimizers nothing is read.
        return made if evaluates_others(made.opt_state) else made.replace(opt_state=())

    state: TrainState = jax.eval_shape(create)
    return state
