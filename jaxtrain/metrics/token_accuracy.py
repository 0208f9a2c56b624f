"""The fraction of tokens that a language model foresees.

trainer.add_metrics({"token_accuracy": TokenAccuracy()})

Axes: B rows, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.ratio import FractionState
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.token_metric import TokenMetric


@METRICS.register("token_accuracy")
@dataclass(frozen=True, kw_only=True)
class TokenAccuracy(TokenMetric[FractionState]):
    """Tokens whose label is the likeliest one, over all that count; counted exactly.

    What it reads, `TokenMetric` says.

    >>> output = {"outputs": {"correct": [[1.0, 0.0, 1.0]]}, "mask": [[1.0, 1.0, 0.0]]}
    >>> metric = TokenAccuracy()
    >>> float(metric.compute(metric.update(metric.empty(), output)))
    0.5
    """

    state_type: ClassVar = FractionState

    def update(self, state: FractionState, output: Output) -> FractionState:
        """With the tokens of one more output."""
        correct = self.correct(output)
        return state.plus(correct, among=self.counted(output, correct, mask=self.mask))
