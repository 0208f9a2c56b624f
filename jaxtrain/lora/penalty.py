"""Penalty: how much of the loss of a training is what its protections add to it.

    trainer.add_metrics({"train/loss": Loss(), "train/penalty": Penalty(protection)})

What is minimised is the loss with it, and so is `loss` in training; without it, it is the loss of
the task. In evaluation there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxtrain.lora.protection import SOWN, Protection
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.ratio import MeanState


@dataclass(frozen=True)
class Penalty(MonoidMetric[MeanState]):
    """The mean over examples of all terms, with their weights.

    Of several micro-batches it is their plain mean: that of the divergence is off where the last
    ones have less to learn from.

    Args:
        protection: has a term at least.
    """

    state_type: ClassVar = MeanState

    protection: Protection

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the terms of one more batch."""
        weight = self.read(output, "loss_weight")
        total = jnp.zeros((), jnp.float32)
        for name, factor in self.protection.penalties.items():
            total += factor * jnp.mean(self.read(output, f"sown.{SOWN}.{name}"))
        return state.plus(total * weight, weight)
