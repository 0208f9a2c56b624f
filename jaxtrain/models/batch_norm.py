"""Batch normalisation that leaves padding out of its statistics.

    hidden = BatchNorm(name="norm")(hidden, train=train, row_mask=row_mask)

Axes: B batch, D features.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) over all axes but the last.

    Scale begins at 1, or at 0 with `zero_scale`, bias at 0. The running mean and variance are
    `batch_stats`, float32 whatever the precision of the rest, and move a tenth of the way to each
    batch's. A batch's variance is its own, the sum of squares over n; PyTorch's running variance
    takes that over n - 1.
    """

    zero_scale: bool = False

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """Normalise `inputs` `[B, ..., D]`; rows where `row_mask` `[B]` is 0 do not count."""
        mask = None
        if row_mask is not None:
            real = row_mask > 0
            # A slice of a batch that is padding only has no mean; it repeats real rows, so that
            # counting it does no harm, where NaN in the running mean would stay there for good.
            real = real | ~jnp.any(real)
            mask = real.reshape(real.shape + (1,) * (inputs.ndim - 1))
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,
            scale_init=nn.initializers.zeros if self.zero_scale else nn.initializers.ones,
            name="batch_norm",
        )
        normalised: jax.Array = norm(inputs, mask=mask)
        return normalised
