"""Floating-point operations of a model, for a plan and for its model FLOPs utilisation (MFU).

    found = model.flops(batch, "bfloat16")
    found.total               # a token, forward and backward
    found.again               # what comes on top, and MFU leaves out

A multiplication and an addition are two.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Flops:
    """What a token of a batch takes, forward and backward.

    Attributes:
        weights: products with weights.
        attention: products of queries with keys, and of what comes of them with values.
        again: what is done twice, in order not to be kept for the backward pass. MFU does not count
            it: it makes a run slower, and no model better.
    """

    weights: int
    attention: int
    again: int

    @property
    def total(self) -> int:
        """What MFU counts."""
        return self.weights + self.attention
