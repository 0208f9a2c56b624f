"""How many tokens a language model wavers between, on the average.

trainer.add_metrics({"perplexity": Perplexity()})

Axes: B rows, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.ratio import MeanState
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.token_metric import TokenMetric


@METRICS.register("perplexity")
@dataclass(frozen=True, kw_only=True)
class Perplexity(TokenMetric[MeanState]):
    """`exp` of the mean negative log-likelihood over all tokens that count.

    Of the likelihood alone: not of a loss with a z-loss in it, nor is it a mean of the batches'
    perplexities. What it reads, `TokenMetric` says. Infinite above `exp(88)`, in float32.

    >>> output = {"outputs": {"nll": [[0.5, 1.5, 9.0]]}, "mask": [[1.0, 1.0, 0.0]]}
    >>> metric = Perplexity()
    >>> round(float(metric.compute(metric.update(metric.empty(), output))), 4)
    2.7183
    """

    state_type: ClassVar = MeanState

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the tokens of one more output."""
        nll = self.nll(output)
        real = self.counted(output, nll, mask=self.mask)
        return state.plus(jnp.sum(nll, where=real), jnp.sum(real, dtype=jnp.int32))

    def compute(self, state: MeanState) -> jax.Array:
        """The value, float32; NaN of nothing."""
        with jax.debug_nans(False):  # that of nothing is an answer
            return jnp.exp(state.value())
