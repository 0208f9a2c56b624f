"""The gradient of an objective, of the whole batch at once or of micro-batches one after the other.

    found = gradient(minimised)(state, batch, key)
    found = accumulated(minimised, 4)(state, batch, key)      # a quarter of the activations
    scaled(found.grads, found.factor, state.params)           # the gradient of total / weight

Each pass over a gradient costs as much as a good part of an optimizer, so nothing is divided here:
what divides and what undoes the loss scale is gathered in one `factor`, which clipping joins.

Axes: B rows, A micro-batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch, batch_size
from jaxtrain.errors import ConfigError
from jaxtrain.step.cut import Cut
from jaxtrain.step.forward import Pass
from jaxtrain.step.guard import as_before
from jaxtrain.step.objective import Objective, mean, positive
from jaxtrain.step.train_state import TrainState


class Gradient(NamedTuple):
    """A gradient and what the passes for it gave.

    Attributes:
        grads: a tree like `params`; times `factor` it is the gradient of `total / weight`.
        factor: float32 scalar; None stands for 1.
        total: the loss summed over the batch, float32 scalar.
        weight: what it is the sum over, float32 scalar.
        seen: outputs, changed collections and sown values.
    """

    grads: Any
    factor: jax.Array | None
    total: jax.Array
    weight: jax.Array
    seen: Pass


Differentiate: TypeAlias = Callable[[TrainState, Batch, jax.Array], Gradient]


def gradient(objective: Objective) -> Differentiate:
    """The gradient of a whole batch."""

    def scaled_mean(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> Any:
        total, weight, seen = objective(params, state, batch, key)
        return _scaled_up(mean(total, weight), state), (total, weight, seen)

    differentiate = jax.grad(scaled_mean, has_aux=True)

    def whole(state: TrainState, batch: Batch, key: jax.Array) -> Gradient:
        grads, (total, weight, seen) = differentiate(state.params, state, batch, key)
        return Gradient(grads, _scaled_down(None, state), total, weight, seen)

    return whole


def accumulated(objective: Objective, parts: int) -> Differentiate:
    """The gradient of a whole batch, from `parts` micro-batches one after the other.

    Exact also where their weights differ, because totals and weights add up. Random keys are per
    micro-batch, `fold_in(key, i)`, and collections such as batch statistics go from one to the
    next. What has no batch axis in the batch reaches each micro-batch whole; what has none in the
    outputs comes out once a micro-batch, [A, ...]. Sums are float32 where parameters are narrower.

    Raises:
        ConfigError: `parts` is less than 1.
        DataError: (when traced) the rows of a batch don't split into `parts`.
    """
    if parts < 1:
        raise ConfigError(f"accumulate: expected at least 1, found {parts}")
    if parts == 1:
        return gradient(objective)
    differentiate = summed(objective)

    def in_turn(state: TrainState, batch: Batch, key: jax.Array) -> Gradient:
        cut = Cut.of(batch, parts, asked=_asked(parts))
        sums, given = differentiate(state, cut, key)
        return of_sums(sums, given, objective, state, batch, key, cut)

    return in_turn


class Sums(NamedTuple):
    """What adds up over micro-batches.

    Attributes:
        grads: a tree like `params`: the gradient of the total, times the loss scale, divided by the
            rows of a micro-batch.
        total: the loss summed, float32 scalar.
        weight: what it is the sum over, float32 scalar.
    """

    grads: Any
    total: jax.Array
    weight: jax.Array


class Given(NamedTuple):
    """What micro-batches give besides.

    Attributes:
        changes: collections of the state with new values, behind the last of them.
        outputs: [A, ...].
        sown: [A, ...].
    """

    changes: dict[str, Any]
    outputs: Any
    sown: dict[str, Any]


def summed(objective: Objective) -> Callable[..., tuple[Sums, Given]]:
    """`summed(objective)(state, cut, key, first=0)`: the sums over the parts of a `Cut`, one after
    the other; the key of part i is `fold_in(key, first + i)`.
    """

    def scaled_total(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> Any:
        total, weight, seen = objective(params, state, batch, key)
        # A micro-batch does not know the weight of the whole batch. Its size stands in for that
        # until all are summed: the gradient has the magnitude of a mean, as float16 wants it.
        return _scaled_up(total / batch_size(batch), state), (total, weight, seen)

    differentiate = jax.grad(scaled_total, has_aux=True)

    def in_turn(
        state: TrainState, cut: Cut, key: jax.Array, first: jax.Array | int = 0
    ) -> tuple[Sums, Given]:
        def body(carry: Any, xs: Any) -> Any:
            sums, model_state = carry
            index, rows = xs
            more, (total, weight, seen) = differentiate(
                state.params,
                state.replace(model_state=model_state),
                cut.part(rows),
                jax.random.fold_in(key, index),
            )
            grads = jax.tree.map(lambda g, m: g + m.astype(g.dtype), sums.grads, more)
            model_state = as_before(model_state, model_state | seen.changes)
            sums = Sums(grads, sums.total + total, sums.weight + weight)
            return (sums, model_state), (seen.outputs, seen.sown)

        zero = jnp.zeros((), jnp.float32)
        start = Sums(jax.tree.map(_wide_zeros, state.params), zero, zero), state.model_state
        (sums, changes), (outputs, sown) = jax.lax.scan(
            body, start, (first + jnp.arange(cut.parts), cut.rows)
        )
        return sums, Given(changes, outputs, sown)

    return in_turn


def of_sums(
    sums: Sums,
    given: Given,
    objective: Objective,
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    cut: Cut,
) -> Gradient:
    """The gradient that the sums over all parts of a batch make.

    Args:
        sums: over all of them.
        given: what they gave, of all of them.
        objective: whose gradient it is.
        state: it was taken with.
        batch: the whole one.
        key: of the step.
        cut: the batch in parts.
    """
    # What has rows is what gets longer with the batch.
    _, _, uncut = jax.eval_shape(objective, state.params, state, batch, key)
    outputs, sown = jax.tree.map(
        cut.joined, (given.outputs, given.sown), (uncut.outputs, uncut.sown)
    )
    factor = _scaled_down(jnp.float32(cut.size) / positive(sums.weight), state)
    seen = Pass(outputs, given.changes, sown)
    return Gradient(sums.grads, factor, sums.total, sums.weight, seen)


def value(objective: Objective, parts: int = 1) -> Callable[..., jax.Array]:
    """`value(params, state, batch, key)`: the mean loss, for optimizers that search along a line.

    It is that of the same batch with the same random keys as the gradient's.
    """
    totals = totalled(objective)

    def whole(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> jax.Array:
        total, weight, _ = objective(params, state, batch, key)
        return mean(total, weight)

    def in_turn(params: Any, state: TrainState, batch: Batch, key: jax.Array) -> jax.Array:
        return mean(*totals(params, state, Cut.of(batch, parts, asked=_asked(parts)), key))

    return whole if parts == 1 else in_turn


def totalled(objective: Objective) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """As `summed`, of `(params, state, cut, key, first=0)`, and without the gradient: total and
    weight.
    """

    def in_turn(
        params: Any, state: TrainState, cut: Cut, key: jax.Array, first: jax.Array | int = 0
    ) -> tuple[jax.Array, jax.Array]:
        def body(carry: Any, xs: Any) -> Any:
            total, weight, model_state = carry
            index, rows = xs
            micro_total, micro_weight, seen = objective(
                params,
                state.replace(model_state=model_state),
                cut.part(rows),
                jax.random.fold_in(key, index),
            )
            model_state = as_before(model_state, model_state | seen.changes)
            return (total + micro_total, weight + micro_weight, model_state), None

        zero = jnp.zeros((), jnp.float32)
        start = zero, zero, state.model_state
        (total, weight, _), _ = jax.lax.scan(body, start, (first + jnp.arange(cut.parts), cut.rows))
        return total, weight

    return in_turn


def scaled(grads: Any, factor: jax.Array | None, params: Any) -> Any:
    """`grads * factor`, each leaf in the dtype of its parameter, rounded once."""
    if factor is None:
        return grads

    def scale(grad: jax.Array, param: jax.Array) -> jax.Array:
        wide = jnp.promote_types(grad.dtype, jnp.float32)
        return (grad.astype(wide) * factor.astype(wide)).astype(param.dtype)

    return jax.tree.map(scale, grads, params)


def _scaled_up(value: jax.Array, state: TrainState) -> jax.Array:
    return value if state.loss_scale is None else value * state.loss_scale.scale


def _scaled_down(factor: jax.Array | None, state: TrainState) -> jax.Array | None:
    if state.loss_scale is None:
        return factor
    return (jnp.float32(1) if factor is None else factor) / state.loss_scale.scale


def _wide_zeros(param: jax.Array) -> jax.Array:
    return jnp.zeros_like(param, dtype=jnp.promote_types(param.dtype, jnp.float32))


def _asked(parts: int) -> str:
    return f"accumulate={parts} micro-batches"
