"""make_train_step: a pure function from a TrainState and a batch to the next one and an output.

    step = make_train_step(model, cross_entropy(), tx, clip_norm=1.0, accumulate=4)
    state, output = jt.jit(step)(state, batch)
    output["loss"], output["grad_norm"], output["finite"]

It composes the parts that the other files of this room define. A step of one's own is made of the
same parts; without norm, clipping and guard it reads

    minimised = objective(forward(model), loss)
    differentiate, apply = gradient(minimised), update(tx)

    def step(state, batch):
        found = differentiate(state, batch, step_key(state))
        params, opt_state = apply(found.grads, state.opt_state, state.params)
        state = state.replace(step=state.step + 1, params=params, opt_state=opt_state)
        return state, output(found.total, found.weight, found.seen, batch)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxtrain.batch import Batch
from jaxtrain.models import Model
from jaxtrain.optim import held, learning_rate
from jaxtrain.step.clipping import clip_leaves, clip_values
from jaxtrain.step.forward import forward
from jaxtrain.step.gradient import accumulated, scaled, value
from jaxtrain.step.guard import all_finite, as_before, guarded
from jaxtrain.step.losses import LossFn
from jaxtrain.step.misfits import refuse_misfit_state, refuse_misfits
from jaxtrain.step.mixing import Mix, mixed
from jaxtrain.step.norm import clip_factor, global_norm
from jaxtrain.step.objective import holding, objective
from jaxtrain.step.output import output
from jaxtrain.step.precision import LossScale, Policy, policy
from jaxtrain.step.sharpness_aware import sharpness_aware
from jaxtrain.step.train_state import TrainState, TrainStep
from jaxtrain.step.update import decay_at, moved, update
from jaxtrain.step.virtual_shards import VirtualShards
from jaxtrain.step.wall import apart

_CHANGED = ("params", "opt_state", "model_state", "ema", "loss_scale")


def make_train_step(
    model: Model,
    loss: LossFn,
    tx: optax.GradientTransformation,
    *,
    precision: str | Policy = "float32",
    clip_norm: float | None = None,
    clip_value: float | None = None,
    clip_leaf_norm: float | None = None,
    accumulate: int = 1,
    mix: Mix | None = None,
    mix_inputs: str = "inputs",
    sam_radius: float | None = None,
    sam_adaptive: bool = False,
    freeze: Sequence[str] = (),
    norm: bool = True,
    guard: bool = True,
    ema_decay: float | None = None,
    virtual_shards: int | None = None,
    mesh: Mesh | None = None,
) -> TrainStep:
    """Build the step that the Engine runs. The step is pure; the caller compiles it.

    A step whose loss, gradient or new model state is not finite leaves parameters, optimizer,
    model state and average as they were and says `finite: False`; only `step` goes on. Under
    float16 an overflow of the scaled gradient is part of the method: the update is left out, the
    scale halves, and `finite` stays True unless the scale is at its floor of 1 or the loss itself
    is not finite.

    Args:
        model: the model. What it sows into `losses` joins the loss.
        loss: its total over the batch's weight is what is minimised.
        tx: the optimizer; it sees `params` alone, and is given `value` (the loss), `grad` and
            `value_fn` by keyword if it wants them.
        precision: a policy or its name.
        clip_norm: gradients of a larger global 2-norm are scaled down to it.
        clip_value: each number of the gradient is cut off there; in the place of `clip_norm`.
        clip_leaf_norm: each leaf of a larger 2-norm is scaled down to it; likewise.
        accumulate: split each batch into this many micro-batches, one after the other, with the
            gradient of the whole. Dropout keys and batch statistics are per micro-batch.
        mix: train on mixtures of two rows: `mixup(0.2)`, `cutmix(1.0)`. What is put out is compared
            with each row's own labels all the same, so an accuracy in training says little.
        mix_inputs: the entry of the batch that is mixed; that which the model reads.
        sam_radius: look for the gradient that far away, where the loss is highest nearby (rho of
            `sharpness_aware`); a step then takes two passes.
        sam_adaptive: measure that in units of each parameter's size.
        freeze: patterns over the parameters' paths (`jaxtrain.optim.groups`) of those that stay as
            they are, bit by bit, and have no part in the norm. Only a `tx` that knows it, as that
            of a config does, keeps no moments for them.
        norm: put out `grad_norm`. The guard and clipping need the norm too; without all three no
            pass over the gradient is made for it.
        guard: leave out updates that are not finite, and put out `finite`.
        ema_decay: move `state.ema` this slowly towards the parameters after each update, as in
            0.999, and faster in the first of them (`decay_at`); the state is made by
            `create_train_state(..., ema=True)`.
        virtual_shards: sum each batch in a tree of so many parts, a power of two, whatever the
            number of devices and processes: the same bits on any that divides it. See
            `jaxtrain.step.virtual_shards`. Such a step can't be differentiated in reverse mode.
        mesh: for that, as `jaxtrain.parallel.make_mesh()` makes it; None for one device. State and
            batch lie on it, the state whole on each device.

    Returns:
        `step(state, batch) -> (state, output)`. The output holds the float32 scalars `loss`,
        `loss_sum`, `loss_weight`, `grad_norm` (before clipping) and, where the optimizer keeps
        one, `learning_rate`; the bool scalar `finite`; and `outputs` [B, K] and, where the batch
        has them, `labels` [B] and `mask` [B, ...] for the metrics.

    Raises:
        ConfigError: options that do not go together.
    """
    clips = {"clip_norm": clip_norm, "clip_value": clip_value, "clip_leaf_norm": clip_leaf_norm}
    refuse_misfits(policy(precision), clips, norm, guard, ema_decay)
    run = forward(model, precision)
    minimised = objective(run, loss) if mix is None else mixed(run, loss, mix, inputs=mix_inputs)
    if freeze:
        minimised = holding(minimised, freeze)
    shards = None if virtual_shards is None else VirtualShards(virtual_shards, mesh)
    if shards is None:
        differentiate = accumulated(minimised, accumulate)
        mean_loss = value(minimised, accumulate)
    else:
        differentiate = shards.gradient(minimised, accumulate)
        mean_loss = shards.value(minimised, accumulate)
    if sam_radius is not None:
        differentiate = sharpness_aware(
            differentiate, sam_radius, adaptive=sam_adaptive, walls=shards is not None
        )
    apply = update(tx)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        refuse_misfit_state(state, policy(precision), ema_decay, freeze)
        key = step_key(state)
        found = differentiate(state, batch, key)
        given = batch if shards is None else shards.whole(batch)

        def finish(kept: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
            before = state.replace(**kept)
            said = output(found.total, found.weight, found.seen, given)
            # One factor for all that scales the gradient: on large models each pass over it counts.
            factor = found.factor
            if norm or guard:
                grad_norm = _times(factor, global_norm(found.grads))
            if norm:
                said["grad_norm"] = grad_norm
            if clip_norm is not None:
                factor = _times(factor, clip_factor(grad_norm, clip_norm))
            loss_scale = before.loss_scale
            kept = {name: value for name, value in kept.items() if name != "loss_scale"}

            def updated() -> dict[str, Any]:
                grads = scaled(found.grads, factor, before.params)
                if clip_value is not None:
                    grads = clip_values(grads, clip_value)
                if clip_leaf_norm is not None:
                    grads = clip_leaves(grads, clip_leaf_norm)
                params, opt_state = apply(
                    grads,
                    before.opt_state,
                    before.params,
                    value=said["loss"],
                    grad=grads,
                    value_fn=lambda params: mean_loss(params, before, batch, key),
                )
                if freeze:
                    params = _with_held(params, before.params, freeze)
                ema = None
                if ema_decay is not None:
                    ema = moved(before.ema, params, decay=decay_at(state.step, ema_decay))
                return as_before(
                    kept,
                    {
                        "params": params,
                        "opt_state": opt_state,
                        "model_state": before.model_state | found.seen.changes,
                        "ema": ema,
                    },
                )

            if guard:
                sound = jnp.isfinite(said["loss"]) & jnp.isfinite(grad_norm)
                sound = sound & all_finite(found.seen.changes)
                said["finite"], loss_scale = _verdict(sound, said["loss"], loss_scale)
                new = guarded(sound, updated, kept)
            else:
                new = updated()
            rate = learning_rate(new["opt_state"])
            if rate is not None:
                said["learning_rate"] = rate
            return {**new, "loss_scale": loss_scale}, said

        kept = {name: getattr(state, name) for name in _CHANGED}
        new, said = finish(kept) if shards is None else apart(state.step, finish, kept)
        return state.replace(step=state.step + 1, **new), said

    return step


def step_key(state: TrainState) -> jax.Array:
    """The random key of a step: it depends on nothing but the state's key and the step."""
    return jax.random.fold_in(state.rng, state.step)


def _times(factor: jax.Array | None, more: jax.Array) -> jax.Array:
    return more if factor is None else factor * more


def _verdict(
    sound: jax.Array, loss: jax.Array, loss_scale: LossScale | None
) -> tuple[jax.Array, LossScale | None]:
    """Whether the step is to be called finite, and the next loss scale."""
    if loss_scale is None:
        return sound, None
    overflowed = jnp.isfinite(loss) & (loss_scale.scale > 1)
    return sound | overflowed, loss_scale.adjust(sound)


def _with_held(params: Any, before: Any, patterns: Sequence[str]) -> Any:
    """What the optimizer made of the parameters, but for those that stay."""
    return jax.tree.map(
        lambda stays, new, old: old if stays else new, held(before, patterns), params, before
    )
