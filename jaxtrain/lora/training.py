"""A model whose parameters are an adapter, and whose base is frozen.

    model = lora.model(base, config)
    adapter = lora.init(jax.random.key(0), params, config)
    state = create_train_state(model, tx, batch, rng=key, params=adapter, frozen=params)
    step = make_train_step(model, loss, tx)

Steps, engine and checkpoints treat it as any other: `frozen` passes through a step, so the base is
neither donated nor copied, and the optimizer sees the adapter alone.

Two forms give the same results. "low_rank" keeps the adapter beside the kernels and never forms
the gradient of one; "merge" adds it to them within the loss, for any model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.applying import apply as applied
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.initial import init as initial
from jaxtrain.lora.merging import merge
from jaxtrain.lora.previous import apply_with_kl
from jaxtrain.lora.protection import (
    SOWN,
    Protection,
    acting,
    base_of,
    frozen_for,
    refuse_misfits,
    terms,
)
from jaxtrain.lora.quantizing import dequantize
from jaxtrain.lora.quantizing import quantize as quantized
from jaxtrain.lora.targets import find_targets, leaves_by_path
from jaxtrain.models import SOWN_LOSSES, Model
from jaxtrain.models.attention import device_facts
from jaxtrain.models.flops import Flops
from jaxtrain.models.model import Rngs, Variables
from jaxtrain.models.quantized import Bits, is_quantized

Form = Literal["auto", "merge", "low_rank"]

_BEGINNING = 0x10A
"""What sets the key of the adapter's beginning apart from that of the base's."""
_SHOWN = 8


def model(
    base: Model,
    config: LoRAConfig,
    *,
    form: Form = "auto",
    protection: Protection | None = None,
    quantize: Bits | None = None,
) -> Model:
    """`base` with its parameters frozen, and an adapter as the parameters.

    Its variables are `params`, an `Adapter`; `frozen`, the parameters of the base; and the other
    collections of the base as they are. Where the adapter depends on the values of the base (DoRA's
    magnitudes, PiSSA's directions), `init` makes NaN of the right shapes, since it can't know which
    base the state will be given: give `create_train_state` the adapter as `params`.

    Args:
        base: any model. Its `load` is not taken over: it gives the base, which is `frozen`, and
            which `create_train_state` wants to be given: what `init` makes has learnt nothing.
        config: what to adapt.
        form: "low_rank", "merge", or "auto": low_rank where the base takes a `LowRank` in the place
            of every kernel that is adapted, else merge. Which it is, and why, is among the model's
            `facts`.
        protection: what keeps the adapter from spoiling what was learnt before. Then `frozen` is
            what `lora.frozen_for` makes; `init` leaves it out with `orthogonal` and no
            `earlier_rank`. The terms stand in a step's `output["sown"]["protection"]`.
        quantize: in how few bits the kernels of the base are; `frozen` is then what `lora.quantize`
            makes of it.

    Raises:
        ConfigError: options that don't go together, at once; what does not fit the base, when it
            is traced.
    """
    if form not in get_args(Form):
        raise ConfigError(f"form: expected one of {', '.join(get_args(Form))}, found {form!r}")
    if form == "low_rank" and base.low_rank is None:
        raise ConfigError(
            'form: this model takes kernels alone; "merge" (or "auto") adds the adapter to them'
        )
    if protection is not None:
        refuse_misfits(config, protection)
    if quantize is not None and config.init == "pissa":
        raise ConfigError(
            'quantize: with init="pissa" the base lacks what the adapter begins with, and is '
            "rounded behind it; take another beginning"
        )

    def base_variables(rng: jax.Array, batch: Batch) -> dict[str, Any]:
        variables = _base_variables(base, rng, batch)
        if quantize is not None:
            variables["params"] = quantized(variables["params"], quantize, config)
        return variables

    def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
        variables = base_variables(rng, batch)
        params = variables.pop("params")
        key = jax.random.fold_in(rng, _BEGINNING)
        made = {"params": _beginning(key, params, config), **variables}
        if protection is not None and protection.orthogonal and not protection.earlier_rank:
            return made  # how many ranks there are before it nobody has said
        return made | {"frozen": _unknown(frozen_for(params, config, protection))}

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        adapter, frozen = _parts(variables)
        if train and not adapter.trainable:
            raise ConfigError(
                "lora.model: this adapter is not to be trained; read it by load_lora(path, params, "
                "trainable=True), or merge it and begin another"
            )
        params = base_of(frozen, protection)
        _refuse_other_bits(params, quantize)
        adapter = acting(adapter, frozen, protection)
        before = {name: v for name, v in variables.items() if name != "frozen"} | {"params": params}
        low_rank, _ = _choice(base, config, form, before, batch)
        if low_rank:
            key = _key(rngs) if train and adapter.config.dropout else None
            now = {**before, "params": applied(params, adapter, train=train, rng=key)}
        else:
            before["params"] = params = dequantize(params)
            now = {**before, "params": merge(params, adapter)}
        if not train or protection is None or not protection.active:
            return base.apply(now, batch, train=train, rngs=rngs)
        kl = None
        if protection.previous_kl:
            outputs, updated, kl = apply_with_kl(base, now, before, batch, rngs=rngs)
        else:
            outputs, updated = base.apply(now, batch, train=True, rngs=rngs)
        return outputs, _with_terms(updated, *terms(adapter, frozen, protection, kl))

    def facts(batch: Mapping[str, Any], dtype: Any) -> Mapping[str, str]:
        shapes = jax.eval_shape(lambda batch: base_variables(jax.random.key(0), batch), dict(batch))
        low_rank, why = _choice(base, config, form, shapes, batch)
        own = dict(base.facts(batch, dtype)) if base.facts is not None else {}
        own["lora"] = f"low_rank: {why}" if low_rank else f"merge: {why}{_rounding(dtype)}"
        if quantize is not None:
            own["base"] = _size_told(shapes["params"], quantize)
        if protection is not None and protection.active:
            own["protection"] = ", ".join(f"{k} {v:g}" for k, v in protection.active.items())
        return own

    def flops(batch: Mapping[str, Any], dtype: Any) -> Flops:
        assert base.flops is not None
        shapes = jax.eval_shape(
            lambda batch: _base_variables(base, jax.random.key(0), batch), dict(batch)
        )
        whole = base.flops(batch, dtype)
        low_rank, _ = _choice(base, config, form, shapes, batch)
        if not low_rank:
            return whole  # the gradients of the kernels are formed, and what is added is no product
        return replace(whole, weights=whole.weights * 2 // 3 + _branches(shapes["params"], config))

    return Model(
        init=init,
        apply=apply,
        facts=facts,
        flops=flops if base.flops else None,
        wants_frozen=True,
        layout=base.layout,
    )


def _rounding(dtype: Any) -> str:
    """What a sum in this dtype does to what is merged into it."""
    if jnp.finfo(dtype).bits >= 32:
        return ""
    return (
        f"; each pass rounds the sum to {jnp.dtype(dtype).name}, in which an update that is small "
        "beside its kernel is lost"
    )


def _refuse_other_bits(params: Any, quantize: Bits | None) -> None:
    found = {leaf.bits for leaf in leaves_by_path(params).values() if is_quantized(leaf)}
    if found != ({quantize} if quantize else set()):
        raise ConfigError(
            f"quantize: expected a base in {quantize or 'floats'}, found one in "
            f"{', '.join(sorted(found)) or 'floats'}; give lora.model(..., quantize=...) and "
            "lora.quantize(params, ...) the same word"
        )


def _size_told(params: Any, bits: Bits) -> str:
    """What kernels in few bits take, and what they would in floats."""
    kernels = [leaf for leaf in leaves_by_path(params).values() if is_quantized(leaf)]
    # XLA's CPU client keeps a byte for each value of 4 bits.
    packed = bits != "int8" and device_facts()["platform"] != "cpu"
    width = 0.5 if packed else 1
    small = sum(k.size * width + k.scale.size * k.scale.dtype.itemsize for k in kernels)
    large = sum(k.size * k.dtype.itemsize for k in kernels)
    return f"{bits}: kernels of {small / 2**20:.1f} MiB in the place of {large / 2**20:.1f} MiB"


def _branches(params: Any, config: LoRAConfig) -> int:
    """Operations a token beside the kernels: two products, each forward and twice backward."""
    leaves = leaves_by_path(params)
    return sum(
        6 * rank * sum(target.sizes(leaves[target.path].shape))
        for target in find_targets(params, config)
        for rank in target.ranks
    )


def _with_terms(
    updated: Mapping[str, Any], weighted: dict[str, jax.Array], plain: dict[str, jax.Array]
) -> dict[str, Any]:
    """The collections of a pass, with the terms of a protection among what it sows."""
    if not plain:
        return dict(updated)
    losses = {SOWN: weighted}
    if SOWN_LOSSES in updated:
        losses["base"] = updated[SOWN_LOSSES]
    return {**updated, SOWN_LOSSES: losses, SOWN: plain}


def _base_variables(base: Model, rng: jax.Array, batch: Batch) -> dict[str, Any]:
    variables = dict(base.init(rng, batch))
    if "frozen" in variables:
        raise ConfigError(
            "lora.model: the base has a frozen part of its own; merge the adapter that it has first"
        )
    return variables


def _beginning(rng: jax.Array, params: Any, config: LoRAConfig) -> Adapter:
    """An adapter of the right shapes; NaN where it depends on what the base's values will be."""
    if config.init == "pissa":
        plain = LoRAConfig(**{**vars(config), "init": "zero_b"})
        made = initial(rng, params, plain)
        factors = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), made.factors)
        return Adapter(factors, config, made.targets)
    made = initial(rng, params, config)
    if not config.dora:
        return made
    factors = {
        path: own | {"m": jnp.full_like(own["m"], jnp.nan)} for path, own in made.factors.items()
    }
    return Adapter(factors, config, made.targets)


def _unknown(frozen: Any) -> Any:
    """What depends on values of the base, or on earlier adapters, as NaN."""
    if not isinstance(frozen, dict) or "base" not in frozen:
        return frozen
    others = {name: part for name, part in frozen.items() if name != "base"}
    return {"base": frozen["base"], **jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), others)}


def _parts(variables: Variables) -> tuple[Adapter, Any]:
    adapter = variables["params"]
    if not isinstance(adapter, Adapter):
        raise ConfigError(
            f"lora.model: expected an Adapter as params, found a {type(adapter).__name__}; the "
            "parameters of the base are `frozen`"
        )
    if "frozen" not in variables:
        raise ConfigError("lora.model: there is no base; give create_train_state(frozen=params)")
    return adapter, variables["frozen"]


def _key(rngs: Rngs | None) -> jax.Array:
    """A key of the adapter's own, from the stream for dropout."""
    if not rngs or "dropout" not in rngs:
        raise ConfigError("dropout: a pass in training needs rngs={'dropout': key}")
    return jax.random.fold_in(rngs["dropout"], _BEGINNING)


def _choice(
    base: Model, config: LoRAConfig, form: Form, variables: Variables, batch: Batch
) -> tuple[bool, str]:
    """Whether the adapter stays beside the kernels, and why."""
    if form == "merge":
        return _merged(config, "it was asked for")
    if base.low_rank is None:
        return _merged(config, "the model takes kernels alone")
    paths = [target.path for target in find_targets(variables["params"], config)]
    taken = base.low_rank(variables, batch)
    others = [path for path in paths if path not in taken]
    if not others:
        return True, f"beside {len(paths)} kernels, no gradient of which is formed"
    shown = ", ".join(others[:_SHOWN]) + (" ..." if len(others) > _SHOWN else "")
    if form == "low_rank":
        raise ConfigError(
            f"form: the model takes no LowRank in the place of {shown}; exclude them, or take "
            '"merge" or "auto"'
        )
    return _merged(config, f"the model takes no LowRank in the place of {shown}")


def _merged(config: LoRAConfig, why: str) -> tuple[bool, str]:
    if config.dropout:
        raise ConfigError(
            f"dropout: {config.dropout} is for the inputs of a branch beside the kernel, and there "
            f"is none: the adapter is merged, since {why}; take dropout=0"
        )
    return False, why
