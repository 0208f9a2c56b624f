"""Any numbers as float32, and the moments of their columns.

as_float32(raw, name="x_train")                          # a new array, or a DataError
mean, deviation = moments(inputs)

Axis letters: B rows, D columns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from jaxtrain.errors import DataError

logger = logging.getLogger(__name__)

_EXACT = 2**24  # up to here float32 has every whole number
_ROWS = 4096  # that are looked at together


def as_float32(raw: np.ndarray, *, name: str) -> np.ndarray:
    """`raw` `[B, ...]` as float32; what is NaN or infinite stays so. Always a new array.

    Whole numbers that float32 has to round are told of in a line.

    Raises:
        DataError: a finite value becomes infinite; names the first.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(raw, np.float32, order="C")
    if raw.dtype.kind == "f" and raw.dtype.itemsize > 4:
        wrong = np.argwhere(np.isinf(values) & np.isfinite(raw))
        if len(wrong):
            raise DataError(
                f"{name}{wrong[0].tolist()} is {raw[tuple(wrong[0])]:g}, more than float32 holds; "
                f"{len(wrong):,} values are"
            )
    elif raw.dtype.kind in "iu" and raw.size and max(int(raw.max()), -int(raw.min())) > _EXACT:
        logger.warning(
            "%s: whole numbers from %d to %d, which float32 rounds above %d",
            name,
            raw.min(),
            raw.max(),
            _EXACT,
        )
    return values


def moments(inputs: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each column of `[B, ..., D]`, over its finite values, in float64.

    A column without any has the mean 0; one that does not vary has the deviation 1.
    """
    columns = inputs.shape[-1] if inputs.ndim > 1 else 1
    count, total = np.zeros(columns), np.zeros(columns)
    for values, finite in _blocks(inputs, columns):
        count += finite.sum(axis=0)
        total += values.sum(axis=0, where=finite)
    mean = total / np.maximum(count, 1)
    squares, largest = np.zeros(columns), np.zeros(columns)
    for values, finite in _blocks(inputs, columns):
        squares += np.square(values - mean).sum(axis=0, where=finite)
        largest = np.maximum(largest, np.abs(values).max(axis=0, where=finite, initial=0))
    deviation = np.sqrt(squares / np.maximum(count, 1))
    # A column that is constant in floating point may deviate by rounding alone.
    varies = deviation > 1e-7 * largest
    return tuple(mean.tolist()), tuple(np.where(varies, deviation, 1.0).tolist())


def _blocks(inputs: np.ndarray, columns: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows after the other in float64, and which of their values are finite."""
    for start in range(0, len(inputs), _ROWS):
        values = inputs[start : start + _ROWS].reshape(-1, columns).astype(np.float64)
        yield values, np.isfinite(values)
