"""The scale of a regression's targets: what they were divided by, and what comes out in their unit.

    scale = TargetScale.fit(targets)                  # of the training rows alone
    labels = scale.standardise(targets)               # float32, mean 0, deviation 1
    scale.in_unit(outputs)                            # back in the unit of the data

Axis letters: B rows, D columns of a target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrain.errors import DataError


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of each column of the target.

    Args:
        mean: D numbers; one for targets `[B]`.
        deviation: D numbers above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, targets: np.ndarray) -> TargetScale:
        """Of targets `[B]` or `[B, D]`; a column that is constant has the deviation 1."""
        columns = np.asarray(targets, np.float64).reshape(len(targets), -1)
        deviation = columns.std(axis=0)
        # A constant column in floating point may deviate by rounding alone.
        varies = deviation > 1e-12 * np.abs(columns).max(axis=0)
        return cls(
            tuple(columns.mean(axis=0).tolist()), tuple(np.where(varies, deviation, 1.0).tolist())
        )

    @classmethod
    def from_json(cls, record: Any) -> TargetScale:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            mean, deviation = (
                tuple(float(value) for value in record[name]) for name in ("mean", "deviation")
            )
        except (TypeError, KeyError, ValueError, OverflowError):
            raise DataError(
                f"a target's scale: expected mean and deviation, found {record!r}"
            ) from None
        finite = np.isfinite([*mean, *deviation]).all()
        if not mean or len(mean) != len(deviation) or not finite or min(deviation) <= 0:
            raise DataError(
                "a target's scale: expected as many finite means as deviations above 0, found "
                f"{record!r}"
            )
        return cls(mean, deviation)

    def to_json(self) -> Mapping[str, list[float]]:
        """As JSON values."""
        return {"mean": list(self.mean), "deviation": list(self.deviation)}

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Targets `[B]` or `[B, D]` as what a model is to learn, float32 of the same shape."""
        values = np.asarray(targets, np.float64)
        columns = (values.reshape(len(values), -1) - self.mean) / self.deviation
        return columns.reshape(values.shape).astype(np.float32)

    def in_unit(self, outputs: np.ndarray) -> np.ndarray:
        """What a model says `[B]`, `[B, 1]` or `[B, D]`, float64 in the unit of the targets."""
        values = np.asarray(outputs, np.float64)
        columns = values.reshape(len(values), -1) * self.deviation + self.mean
        return columns.reshape(values.shape)
