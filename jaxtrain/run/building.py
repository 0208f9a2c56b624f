"""The model that a config means, with its adapter beside it; and the form of its optimizer's state.

    base = base_model(config, num_outputs, example)
    model = with_adapter(base, config)
    opt_state = jax.eval_shape(optimizer_form(config).init, params)

An adapter's parameters are the model's, and the parameters of the base are its `frozen`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from jaxtrain import lora
from jaxtrain.batch import Batch, batch_size, has_rows
from jaxtrain.config import ExperimentConfig, ScheduleSection
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, Protection
from jaxtrain.models import MODELS, Model
from jaxtrain.models.model import Rngs, Variables
from jaxtrain.optim import make_optimizer
from jaxtrain.parallel import Layout, batch_sharding, gathered, make_mesh, row_parts, using
from jaxtrain.parallel.mesh import TENSOR, refuse_unsplit
from jaxtrain.parallel.process import several

# Of the section `lora`: what is no option of an adapter, but of how it is trained.
_OF_TRAINING = ("form", "protect", "quantize")


def build_model(config: ExperimentConfig, num_outputs: int, example: Mapping[str, Any]) -> Model:
    """What is trained: the model that `config` names, or an adapter beside it.

    Args:
        config: its `model` and `lora` sections.
        num_outputs: what the model is to put out.
        example: shapes of a batch.
    """
    return with_adapter(base_model(config, num_outputs, example), config)


def base_model(config: ExperimentConfig, num_outputs: int, example: Mapping[str, Any]) -> Model:
    """The model that the section `model` names.

    Args:
        config: its `model` section.
        num_outputs: what the model is to put out.
        example: shapes of a batch. A factory may ask for `num_inputs`, how many numbers a row of
            "inputs" has.
    """
    context = {"num_outputs": num_outputs}
    if "inputs" in example:
        context["num_inputs"] = int(np.prod(example["inputs"].shape[1:]))
    model: Model = MODELS.build(config.model, **context)
    return model


def with_adapter(base: Model, config: ExperimentConfig) -> Model:
    """`base`, or where the config has a section `lora` an adapter for it."""
    adapter = adapter_config(config)
    if config.lora is None or adapter is None:
        return base
    return lora.model(
        base,
        adapter,
        form=config.lora.form,
        protection=protection_of(config),
        quantize=config.lora.quantize,
    )


def layout_of(config: ExperimentConfig, model: Model) -> Layout | None:
    """How the state of a run lies on its mesh; None where the config has none.

    Raises:
        ConfigError: the devices do not make up the mesh, or a batch can't be split over it; or
            there are several processes, and no mesh.
    """
    if config.mesh is None:
        if several():  # each would train all of it, and the first alone would say so
            raise ConfigError(
                f"mesh: this is one of {jax.process_count()} processes of a run, and without a "
                "mesh each would train on its own; set mesh.data=-1, or start one process"
            )
        return None
    mesh = make_mesh(**dict(config.mesh))
    refuse_unsplit(config.data.batch_size, mesh)
    parts = config.train.accumulate
    if config.data.batch_size % parts == 0:  # or the step says what is wrong
        what = f"data.batch_size / train.accumulate ({config.data.batch_size} / {parts})"
        refuse_unsplit(config.data.batch_size // parts, mesh, key=what)
    if config.data.eval_batch_size is not None:
        refuse_unsplit(config.data.eval_batch_size, mesh, key="data.eval_batch_size")
    if mesh.shape[TENSOR] > 1 and not any(TENSOR in axes for _, axes in model.layout):
        raise ConfigError(
            f"mesh.tensor: model {config.model.name!r} has no rule that lays anything over it, so "
            f"that all {mesh.shape[TENSOR]} parts would compute the same; take data or fsdp"
        )
    return Layout(mesh, model.layout)


def on_layout(model: Model, layout: Layout | None, virtual_shards: int | None = None) -> Model:
    """The model, with its parameters put together where it uses them, if they lie in pieces.

    Virtual shards go through it one by one, each on one device, and nothing lies in pieces then.
    One that says how its parameters lie knows best when; for any other all are put together before
    it is asked.
    """
    if layout is None or virtual_shards is not None:
        return model
    whole = (lambda tree: tree) if model.layout else gathered

    def rows(batch: Batch) -> Batch:
        # A micro-batch is a piece of what lay over the mesh as a whole, and so at one end of it.
        size = batch_size(batch)
        if size % row_parts(layout.mesh):
            return batch
        return {
            name: jax.lax.with_sharding_constraint(leaf, batch_sharding(layout.mesh))
            if has_rows(leaf, size)
            else leaf
            for name, leaf in batch.items()
        }

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        with using(layout):
            return model.apply(whole(variables), rows(batch), train=train, rngs=rngs)

    def apply_with_kl(
        variables: Variables,
        reference: Variables,
        batch: Batch,
        *,
        train: bool,
        rngs: Rngs | None = None,
    ) -> tuple[Any, dict[str, Any], jax.Array]:
        assert model.apply_with_kl is not None
        with using(layout):
            return model.apply_with_kl(
                whole(variables), whole(reference), rows(batch), train=train, rngs=rngs
            )

    return dataclasses.replace(
        model,
        apply=apply,
        apply_with_kl=None if model.apply_with_kl is None else apply_with_kl,
    )


def optimizer_form(config: ExperimentConfig) -> optax.GradientTransformation:
    """An optimizer whose state has the form of that of the run, as far as it is read.

    How long schedule and warm-up are no form depends on, and a checkpoint doesn't say it; but for
    whether there is a warm-up. Beside another schedule nothing is read of the state.
    """
    section = config.schedule
    warms_up = section.warmup_steps or section.warmup_epochs or section.warmup_fraction
    return make_optimizer(
        config.optimizer,
        ScheduleSection(warmup_steps=1 if warms_up else 0),
        2,
        batch_size=config.data.batch_size,
    )


def protection_of(config: ExperimentConfig) -> Protection | None:
    """What an adapter does for what was learnt before it; None for nothing."""
    if config.lora is None:
        return None
    protection = Protection(**dict(config.lora.protect))
    if protection.orthogonal and not protection.earlier_rank:
        raise ConfigError(
            "lora.protect.earlier_rank: expected how many ranks the adapters before this one have "
            "together, 1 where there are none; a checkpoint has room for so many"
        )
    return protection if protection.active else None


def adapter_config(config: ExperimentConfig) -> LoRAConfig | None:
    """What an adapter is to be; None where there is to be none."""
    if config.lora is None:
        return None
    options = dict(config.lora)
    return LoRAConfig(**{name: v for name, v in options.items() if name not in _OF_TRAINING})
