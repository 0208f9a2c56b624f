"""make_train_step: a pure function from a TrainState and a batch to the next one and an output.

    step = make_train_step(model, cross_entropy(), tx, clip_norm=1.0, accumulate=4)
    state, output = jax.jit(step)(state, batch)
    output["loss"], output["grad_norm"], output["finite"]

Axes: B batch, A micro-batches, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrain.models import Model
from jaxtrain.optim import learning_rate
from jaxtrain.step.losses import Loss
from jaxtrain.step.padding import finite_padding
from jaxtrain.step.precision import Policy, policy
from jaxtrain.step.train_state import TrainState

Batch = Mapping[str, Any]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]


def make_train_step(
    model: Model,
    loss: Loss,
    tx: optax.GradientTransformation,
    *,
    precision: str | Policy = "float32",
    clip_norm: float | None = None,
    accumulate: int = 1,
) -> TrainStep:
    """Build the step that the Engine runs. The step is pure; the caller compiles it.

    A step whose loss, gradient or new model state is not finite leaves parameters, optimizer and
    model state as they were and says `finite: False`; only `step` goes on. Under float16 an
    overflow of the scaled gradient is part of the method: the update is left out, the scale
    halves, and `finite` stays True unless the scale is at its floor of 1 or the loss itself is not
    finite.

    Args:
        model: the model.
        loss: its total over the batch's weight is what is minimised.
        tx: the optimizer; it sees `params` alone.
        precision: a policy or its name.
        clip_norm: gradients of a larger global 2-norm are scaled down to it.
        accumulate: split each batch into this many micro-batches, one after the other, with the
            gradient of the whole. Dropout keys and batch statistics are per micro-batch.

    Returns:
        `step(state, batch) -> (state, output)`. The output holds the float32 scalars `loss`,
        `loss_sum`, `loss_weight`, `grad_norm` (before clipping) and, where the optimizer keeps
        one, `learning_rate`; the bool scalar `finite`; and `outputs` [B, K], `labels` [B] and
        `mask` [B] for the metrics.
    """
    chosen = policy(precision)
    if accumulate < 1:
        raise ValueError(f"accumulate: expected at least 1, found {accumulate}")

    def objective(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> Any:
        """The scaled total over a constant, with what else the pass gives."""
        variables = _variables(state.replace(params=params), chosen)
        # A module that draws from a stream of another name falls back to "params".
        rngs = {"dropout": key, "params": jax.random.fold_in(key, 1)}
        outputs, updates = model.apply(variables, _inputs(batch, chosen), train=True, rngs=rngs)
        # What was sown has no place in the state, and `frozen` is not for changing.
        updates = {name: new for name, new in updates.items() if name in state.model_state}
        outputs = chosen.to_output(outputs)
        total, weight = loss(outputs, batch)
        # A micro-batch does not know the weight of the whole batch. Its size stands in for that
        # until all are summed: the gradient has the magnitude of a mean, as float16 wants it.
        scaled = total / (_positive(weight) if accumulate == 1 else _batch_size(batch))
        if state.loss_scale is not None:
            scaled = scaled * state.loss_scale.scale
        return scaled, (total, weight, outputs, updates)

    gradient = jax.grad(objective, has_aux=True)

    def whole(state: TrainState, batch: Batch, key: jax.Array) -> Any:
        return gradient(state.params, state, batch, key)

    def in_micro_batches(state: TrainState, batch: Batch, key: jax.Array) -> Any:
        micro_batches = jax.tree.map(_split(accumulate), dict(batch))

        def body(carry: Any, xs: Any) -> Any:
            grads, total, weight, model_state = carry
            index, micro = xs
            more, (micro_total, micro_weight, outputs, updates) = gradient(
                state.params,
                state.replace(model_state=model_state),
                micro,
                jax.random.fold_in(key, index),
            )
            grads = jax.tree.map(jnp.add, grads, more)
            carry = grads, total + micro_total, weight + micro_weight, model_state | updates
            return carry, outputs

        zero = jnp.zeros((), jnp.float32)
        start = jax.tree.map(jnp.zeros_like, state.params), zero, zero, state.model_state
        (grads, total, weight, updates), outputs = jax.lax.scan(
            body, start, (jnp.arange(accumulate), micro_batches)
        )
        outputs = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)
        # Each micro-batch divided by its own size, which is the batch's over `accumulate`.
        grads = jax.tree.map(lambda g: g / accumulate, grads)
        return grads, (total, weight, outputs, updates)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        key = jax.random.fold_in(state.rng, state.step)
        compute = whole if accumulate == 1 else in_micro_batches
        grads, (total, weight, outputs, updates) = compute(state, batch, key)

        divisor = _positive(weight)
        mean_loss = total / divisor
        # One factor for all that scales the gradient: on large models each pass over it counts.
        factor = jnp.float32(1) if accumulate == 1 else _batch_size(batch) / divisor
        if state.loss_scale is not None:
            factor = factor / state.loss_scale.scale
        norm = global_norm(grads) * factor
        sound = jnp.isfinite(mean_loss) & jnp.isfinite(norm) & _all_finite(updates)
        if clip_norm is not None:
            factor = factor * jnp.minimum(1.0, clip_norm / _positive(norm))
        kept = state.params, state.opt_state, state.model_state
        scales = accumulate > 1 or state.loss_scale is not None or clip_norm is not None

        def updated() -> Any:
            scaled = jax.tree.map(lambda g: g * factor, grads) if scales else grads
            changes, opt_state = tx.update(scaled, state.opt_state, state.params)
            params = optax.apply_updates(state.params, changes)
            new = params, opt_state, state.model_state | updates
            # A module may write statistics in the dtype that it computes in.
            return jax.tree.map(_in_the_dtype_of, kept, new)

        finite, loss_scale = sound, state.loss_scale
        if loss_scale is not None:
            finite = sound | (jnp.isfinite(mean_loss) & (loss_scale.scale > 1))
            loss_scale = loss_scale.adjust(sound)
        params, opt_state, model_state = _if_sound(sound, updated, kept)
        output = {
            "loss": mean_loss,
            "loss_sum": total,
            "loss_weight": weight,
            "grad_norm": norm,
            "finite": finite,
            **_for_metrics(outputs, batch),
        }
        rate = learning_rate(opt_state)
        if rate is not None:
            output["learning_rate"] = rate
        return state.replace(
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            model_state=model_state,
            loss_scale=loss_scale,
        ), output

    return step


def make_eval_step(model: Model, loss: Loss, *, precision: str | Policy = "float32") -> TrainStep:
    """Build the step of an evaluating engine: the state passes through untouched.

    Returns:
        `step(state, batch) -> (state, output)`; the output holds the scalars `loss`, `loss_sum`
        and `loss_weight`, and `outputs` [B, K], `labels` [B] and `mask` [B].
    """
    chosen = policy(precision)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
        variables = _variables(state, chosen)
        inputs = {**batch, "inputs": chosen.to_compute(batch["inputs"])}
        outputs, _ = model.apply(variables, inputs, train=False, rngs={})
        outputs = chosen.to_output(outputs)
        total, weight = loss(outputs, batch)
        return state, {
            "loss": total / _positive(weight),
            "loss_sum": total,
            "loss_weight": weight,
            **_for_metrics(outputs, batch),
        }

    return step


def global_norm(tree: Any) -> jax.Array:
    """The 2-norm of all leaves together, float32 scalar.

    Each leaf as a dot product with itself, which a CPU does several times faster than squaring
    and summing.
    """
    squares = [jnp.vdot(leaf, leaf).astype(jnp.float32) for leaf in jax.tree.leaves(tree)]
    return jnp.sqrt(sum(squares, start=jnp.zeros((), jnp.float32)))


def _if_sound(sound: jax.Array, updated: Callable[[], Any], kept: Any) -> Any:
    """What `updated()` gives where `sound`, else `kept`.

    A branch costs a CPU nothing, while a select reads and writes every parameter and moment once
    more: a tenth of the step of an MLP. A GPU would have to ask the host which branch to take.
    """
    return jax.lax.platform_dependent(
        cpu=lambda: _branch(sound, updated, kept), default=lambda: _select(sound, updated, kept)
    )


def _branch(sound: jax.Array, updated: Callable[[], Any], kept: Any) -> Any:
    return jax.lax.cond(sound, updated, lambda: kept)


def _select(sound: jax.Array, updated: Callable[[], Any], kept: Any) -> Any:
    return jax.tree.map(lambda new, old: jnp.where(sound, new, old), updated(), kept)


def _in_the_dtype_of(old: Any, new: Any) -> Any:
    """`new`, made wider where `old` is: bfloat16 for a float32."""
    if not hasattr(old, "dtype") or new.dtype == old.dtype:
        return new
    return new.astype(old.dtype) if jnp.promote_types(new.dtype, old.dtype) == old.dtype else new


def _variables(state: TrainState, chosen: Policy) -> dict[str, Any]:
    """The weights in the compute dtype; the collections, statistics among them, as they are."""
    cast = state.replace(
        params=chosen.to_compute(state.params), frozen=chosen.to_compute(state.frozen)
    )
    return cast.variables()


def _inputs(batch: Batch, chosen: Policy) -> dict[str, Any]:
    """The batch as the model gets it: its float arrays clean and cast, but for labels and mask."""
    return {
        name: value
        if name in ("labels", "mask")
        else chosen.to_compute(finite_padding(batch, value))
        for name, value in batch.items()
    }


def _all_finite(tree: Any) -> jax.Array:
    """Whether no leaf of floats has NaN or Inf; for batch statistics, which are small."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(x).all() for x in floats]).all() if floats else jnp.bool_(True)


def _positive(weight: jax.Array) -> jax.Array:
    """A divisor that is never zero: a batch of padding alone has a loss and a gradient of zero."""
    return jnp.maximum(weight, 1e-30)


def _for_metrics(outputs: Any, batch: Batch) -> dict[str, Any]:
    mask = batch.get("mask")
    if mask is None:
        mask = jnp.ones((_batch_size(batch),), jnp.float32)
    return {"outputs": outputs, "labels": batch["labels"], "mask": mask}


def _batch_size(batch: Batch) -> int:
    return jax.tree.leaves(dict(batch))[0].shape[0]


def _split(parts: int) -> Callable[[jax.Array], jax.Array]:
    """[B, ...] as [A, B/A, ...]."""

    def split(leaf: jax.Array) -> jax.Array:
        if leaf.shape[0] % parts:
            raise ValueError(
                f"a batch of {leaf.shape[0]} can't be split into accumulate={parts} micro-batches; "
                "choose a batch size that is a multiple"
            )
        return leaf.reshape(parts, leaf.shape[0] // parts, *leaf.shape[1:])

    return split
