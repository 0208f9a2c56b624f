"""Training on mixtures of two rows: their inputs are mixed, and so are the losses of both labels.

    minimised = mixed(forward(model), cross_entropy(), mixup(0.2))
    minimised = mixed(forward(model), cross_entropy(), cutmix(1.0))      # images, rectangles

Each row gets a partner of the same batch. A row that does not count is nobody's partner.

Axes: B rows, H height, W width, C channels.
"""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxtrain.batch import MASK, ROW_MASK, Batch, batch_size, entry, has_rows, row_mask
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.step.forward import Forward, Pass, streams
from jaxtrain.step.losses import LossFn
from jaxtrain.step.objective import Objective, total_and_weight
from jaxtrain.step.train_state import TrainState

_MIXING = 0x3117
"""What sets the keys of mixing apart from those of dropout."""


class Mix(Protocol):
    """Mixes each row with its partner."""

    def __call__(
        self, own: jax.Array, other: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """From `[B, ...]` twice to the mixture, and the share of `own` in it, float32 scalar."""


def mixup(alpha: float) -> Mix:
    """`share * own + (1 - share) * other`, one share a batch, from Beta(alpha, alpha).

    After Zhang et al. (2018), arXiv:1710.09412; 0.1 to 0.4 on ImageNet there.

    Raises:
        ConfigError: alpha is not above 0.
    """
    _refuse_not_positive("mixup", alpha)

    def mix(own: jax.Array, other: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        share = jax.random.beta(key, alpha, alpha, dtype=jnp.float32)
        mixture = share * own.astype(jnp.float32) + (1 - share) * other.astype(jnp.float32)
        return mixture.astype(own.dtype), share

    return mix


def cutmix(alpha: float) -> Mix:
    """A rectangle of the partner's image in the place of one's own, the same for a batch.

    After Yun et al. (2019), arXiv:1905.04899, eq. 1 and 2: it has a share of the image from
    Beta(alpha, alpha), the image's proportions, and its middle anywhere; what is outside of the
    image is cut off. The share that is given back is that of the pixels left.

    Raises:
        ConfigError: alpha is not above 0.
        DataError: (from the mix) the inputs are no images `[B, H, W, C]`.
    """
    _refuse_not_positive("cutmix", alpha)

    def mix(own: jax.Array, other: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        if own.ndim != 4:
            raise DataError(
                f"cutmix wants images [B, H, W, C], found inputs of shape {own.shape}; have the "
                "data keep their axes, or take mixup"
            )
        of_share, of_row, of_column = jax.random.split(key, 3)
        side = jnp.sqrt(1 - jax.random.beta(of_share, alpha, alpha, dtype=jnp.float32))
        rows = _within(own.shape[1], side, of_row)
        columns = _within(own.shape[2], side, of_column)
        inside = rows[:, None] & columns[None, :]
        share = 1 - jnp.mean(inside, dtype=jnp.float32)
        return jnp.where(inside[None, :, :, None], other, own), share

    return mix


def mixed(forward: Forward, loss: LossFn, mix: Mix, *, inputs: str = "inputs") -> Objective:
    """The loss of a training pass over mixtures: `share` of that with each row's own labels, and
    the rest of that with its partner's.

    What is not the inputs or a mask goes with the partner. Totals and weights are mixed alike, so
    that masks, class weights and micro-batches stay exact.

    Args:
        forward: the model's forward pass.
        loss: of the outputs, with the labels of either.
        mix: mixes inputs.
        inputs: the batch's entry to mix.

    Raises:
        DataError: (from the objective) the inputs are no floats, or a mask is over more than rows.
    """

    def minimised(
        params: Any, state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, jax.Array, Pass]:
        own = jnp.asarray(entry(batch, inputs, reader="the mixing of rows"))
        _refuse_unmixable(own, inputs, batch)
        of_partner, of_mix = jax.random.split(jax.random.fold_in(key, _MIXING))
        partner = _partners(batch, of_partner)
        mixture, share = mix(own, own[partner], of_mix)
        seen = forward(
            state.variables(params), {**batch, inputs: mixture}, train=True, rngs=streams(key)
        )
        total, weight = total_and_weight(loss, seen, batch)
        others_total, others_weight = total_and_weight(loss, seen, _of(batch, partner, inputs))
        total = share * total + (1 - share) * others_total
        return total, share * weight + (1 - share) * others_weight, seen

    return minimised


def _partners(batch: Batch, key: jax.Array) -> jax.Array:
    """A row for each, `[B]`: of a permutation, or itself where that one does not count."""
    size = batch_size(batch)
    drawn = jax.random.permutation(key, size)
    counts = row_mask(batch)
    return drawn if counts is None else jnp.where(counts[drawn] > 0, drawn, jnp.arange(size))


def _of(batch: Batch, partner: jax.Array, inputs: str) -> dict[str, Any]:
    """The batch with all that has rows taken from the partners, but for masks and inputs."""
    size, kept = len(partner), (inputs, MASK, ROW_MASK)

    def taken(leaf: Any) -> Any:
        return jnp.asarray(leaf)[partner] if has_rows(leaf, size) else leaf

    return {n: v if n in kept else jax.tree.map(taken, v) for n, v in batch.items()}


def _within(size: int, share: jax.Array, key: jax.Array) -> jax.Array:
    """Which of `size` places are in a span of that share, its middle anywhere: bools `[size]`."""
    length = jnp.floor(size * share).astype(jnp.int32)
    middle = jax.random.randint(key, (), 0, size)
    places = jnp.arange(size)
    start = middle - length // 2
    return (places >= start) & (places < start + length)


def _refuse_unmixable(own: jax.Array, inputs: str, batch: Batch) -> None:
    if not jnp.issubdtype(own.dtype, jnp.floating):
        raise DataError(
            f"rows can be mixed where they are numbers; found {inputs!r} of {own.dtype}; leave out "
            "mixup and cutmix"
        )
    mask = batch.get(MASK)
    if mask is not None and jnp.ndim(mask) > 1:
        raise DataError(
            f"rows that have masks of their own, of shape {jnp.shape(mask)}, can't be mixed: what "
            "counts of one does not of the other; leave out mixup and cutmix"
        )


def _refuse_not_positive(what: str, alpha: float) -> None:
    if not alpha > 0:
        raise ConfigError(f"{what}: expected an alpha above 0, found {alpha}")
