"""The model that a config means, with its adapter beside it; and the form of its optimizer's state.

    base = base_model(config, num_outputs, example)
    model = with_adapter(base, config)
    opt_state = jax.eval_shape(optimizer_form(config).init, params)

An adapter's parameters are the model's, and the parameters of the base are its `frozen`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optax

from jaxtrain import lora
from jaxtrain.config import ExperimentConfig, ScheduleSection
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, Protection
from jaxtrain.models import MODELS, Model
from jaxtrain.optim import make_optimizer
from jaxtrain.parallel import Layout, make_mesh
from jaxtrain.parallel.mesh import refuse_unsplit

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
        ConfigError: the devices do not make up the mesh, or a batch can't be split over it.
    """
    if config.mesh is None:
        return None
    mesh = make_mesh(**dict(config.mesh))
    refuse_unsplit(config.data.batch_size, mesh)
    if config.data.eval_batch_size is not None:
        refuse_unsplit(config.data.eval_batch_size, mesh, key="data.eval_batch_size")
    return Layout(mesh, model.layout)


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
