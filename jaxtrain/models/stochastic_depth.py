"""Stochastic depth: in training a residual block is left out of some rows.

    rates = linear_decay(0.2, blocks=8)                        # 0.025, 0.05, ..., 0.2
    hidden = hidden + StochasticDepth(rates[3])(branch, train=train)

Axes: B batch.
"""

from __future__ import annotations

import flax.linen as nn
import jax

from jaxtrain.models.dropout import Dropout


class StochasticDepth(nn.Module):
    """What a block adds, left out of each row alike with the probability `rate`.

    Where it stays in training it is divided by the probability to stay, so that nothing is done in
    evaluation. (Huang et al. 2016, arXiv:1603.09382, leave a block out of a whole batch, and
    multiply in evaluation.)
    """

    rate: float

    @nn.compact
    def __call__(self, branch: jax.Array, *, train: bool) -> jax.Array:
        """`branch` `[B, ...]`, some rows of it 0 and the rest larger."""
        rows_alone = tuple(range(1, branch.ndim))
        dropout = Dropout(self.rate, broadcast_dims=rows_alone, name="rows")
        kept: jax.Array = dropout(branch, deterministic=not train)
        return kept


def linear_decay(rate: float, blocks: int) -> tuple[float, ...]:
    """The rate of each block, which grows evenly to `rate` at the last one.

    The rule of Huang et al. 2016: early blocks, which all others read, are hardly left out.

    >>> linear_decay(0.5, 4)
    (0.125, 0.25, 0.375, 0.5)
    """
    return tuple(rate * (block + 1) / blocks for block in range(blocks))
