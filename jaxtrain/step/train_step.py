"""make_train_step: a pure function from a TrainState and a batch to the next one and an output.

    step = make_train_step(model, cross_entropy(), tx, clip_norm=1.0, accumulate=4)
    state, output = jax.jit(step)(state, batch)
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

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models import Model
from jaxtrain.optim import averaged_leaves, evaluates_others, held, learning_rate
from jaxtrain.step.clipping import clip_leaves, clip_values
from jaxtrain.step.forward import forward
from jaxtrain.step.gradient import accumulated, scaled, value
from jaxtrain.step.guard import all_finite, as_before, guarded
from jaxtrain.step.losses import LossFn
from jaxtrain.step.mixing import Mix, mixed
from jaxtrain.step.norm import clip_factor, global_norm
from jaxtrain.step.objective import holding, objective
from jaxtrain.step.output import output
from jaxtrain.step.precision import LossScale, Policy, policy
from jaxtrain.step.sharpness_aware import sharpness_aware
from jaxtrain.step.train_state import TrainState, TrainStep
from jaxtrain.step.update import decay_at, moved, update


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

    Returns:
        `step(state, batch) -> (state, output)`. The output holds the float32 scalars `loss`,
        `loss_sum`, `loss_weight`, `grad_norm` (before clipping) and, where the optimizer keeps
        one, `learning_rate`; the bool scalar `finite`; and `outputs` [B, K] and, where the batch
        has them, `labels` [B] and `mask` [B, ...] for the metrics.

    Raises:
        ConfigError: options that do not go together.
    """
    clips = {"clip_norm": clip_norm, "clip_value": clip_value, "clip_leaf_norm": clip_leaf_norm}
    _refuse_misfits(policy(precision), clips, norm, guard, ema_decay)
    run = forward(model, precision)
    minimised = objective(run, loss) if mix is None else mixed(run, loss, mix, inputs=mix_inputs)
    if freeze:
        minimised = holding(minimised, freeze)
    differentiate = accumulated(minimised, accumulate)
    if sam_radius is not None:
        differentiate = sharpness_aware(differentiate, sam_radius, adaptive=sam_adaptive)
    mean_loss = value(minimised, accumulate)
    apply = update(tx)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        _refuse_misfit_state(state, policy(precision), ema_decay, freeze)
        key = step_key(state)
        found = differentiate(state, batch, key)
        said = output(found.total, found.weight, found.seen, batch)
        # One factor for all that scales the gradient: on large models each pass over it counts.
        factor = found.factor
        if norm or guard:
            grad_norm = _times(factor, global_norm(found.grads))
        if norm:
            said["grad_norm"] = grad_norm
        if clip_norm is not None:
            factor = _times(factor, clip_factor(grad_norm, clip_norm))
        kept = state.params, state.opt_state, state.model_state, state.ema

        def updated() -> Any:
            grads = scaled(found.grads, factor, state.params)
            if clip_value is not None:
                grads = clip_values(grads, clip_value)
            if clip_leaf_norm is not None:
                grads = clip_leaves(grads, clip_leaf_norm)
            params, opt_state = apply(
                grads,
                state.opt_state,
                state.params,
                value=said["loss"],
                grad=grads,
                value_fn=lambda params: mean_loss(params, state, batch, key),
            )
            if freeze:
                params = _with_held(params, state.params, freeze)
            ema = None
            if ema_decay is not None:
                ema = moved(state.ema, params, decay=decay_at(state.step, ema_decay))
            new = params, opt_state, state.model_state | found.seen.changes, ema
            return as_before(kept, new)

        loss_scale = state.loss_scale
        if guard:
            sound = jnp.isfinite(said["loss"]) & jnp.isfinite(grad_norm)
            sound = sound & all_finite(found.seen.changes)
            said["finite"], loss_scale = _verdict(sound, said["loss"], loss_scale)
            new = guarded(sound, updated, kept)
        else:
            new = updated()
        params, opt_state, model_state, ema = new
        rate = learning_rate(opt_state)
        if rate is not None:
            said["learning_rate"] = rate
        return state.replace(
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            model_state=model_state,
            loss_scale=loss_scale,
            ema=ema,
        ), said

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


def _refuse_misfits(
    chosen: Policy,
    clips: Mapping[str, float | None],
    norm: bool,
    guard: bool,
    ema_decay: float | None,
) -> None:
    asked = {name: limit for name, limit in clips.items() if limit is not None}
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(asked)}: a gradient is clipped in one way; leave one out")
    if "clip_norm" in asked and not norm:
        raise ConfigError("clip_norm needs the norm of the gradient; leave out norm=False")
    for name, limit in asked.items():
        if not limit > 0:
            raise ConfigError(f"{name}: expected a number above 0, found {limit}")
    if chosen.scales_loss and not guard:
        raise ConfigError(
            f"precision {chosen.compute_dtype!r} needs the guard, which leaves out updates that "
            "overflow; leave out guard=False"
        )
    if ema_decay is not None and not 0 <= ema_decay < 1:
        raise ConfigError(f"ema_decay: expected 0 or more and less than 1, found {ema_decay}")


def _refuse_misfit_state(
    state: TrainState, chosen: Policy, ema_decay: float | None, freeze: Sequence[str]
) -> None:
    """A state made for another step would train on without what it, or the step, was made for."""
    if ema_decay is not None and evaluates_others(state.opt_state):
        raise ConfigError(
            "ema_decay: the optimizer keeps an average of its own, and that is what is to be "
            "evaluated; leave out one of them"
        )
    if freeze and evaluates_others(state.opt_state):
        averaged = averaged_leaves(state.opt_state, state.params)
        both = jax.tree.map(lambda stays, own: stays and own, held(state.params, freeze), averaged)
        if any(jax.tree.leaves(both)):
            raise ConfigError(
                "freeze: the optimizer averages what is to stay as it is, and would evaluate "
                "something else; give make_train_step one that knows it, as grouped(...) with "
                "optax.set_to_zero() for what is frozen"
            )
    if (state.ema is None) != (ema_decay is None):
        raise ConfigError(
            "the state has an average that this step does not move; give make_train_step an "
            "ema_decay, or take it away with state.replace(ema=None)"
            if ema_decay is None
            else "ema_decay: the state has no average; make it with create_train_state(..., "
            "ema=True)"
        )
    if (state.loss_scale is None) == chosen.scales_loss:
        raise ConfigError(
            f"precision: the step's is {chosen.compute_dtype!r}, but the state "
            + ("has no loss scale" if chosen.scales_loss else "has a loss scale")
            + "; give create_train_state the same precision"
        )
