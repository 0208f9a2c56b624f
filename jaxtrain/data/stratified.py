"""Hold out rows so that every class gives its share.

    kept, held_out = split_by_class(labels, 0.2, seed=0, stream=TEST_STREAM)

Axis letters: B rows.
"""

from __future__ import annotations

import numpy as np

from jaxtrain.data.shuffle import SPLIT_STREAM, shuffled
from jaxtrain.errors import ConfigError

# Test rows and validation rows are drawn by seeds of their own, which may be the same number.
TEST_STREAM = SPLIT_STREAM + 1
VALIDATION_STREAM = SPLIT_STREAM + 2


def split_by_class(
    labels: np.ndarray, fraction: float, seed: int, *, stream: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to keep and rows to hold out, a share of `fraction` of each class; both ascending.

    A class of one row keeps it; one of more gives away at least one, and never all. So the shares
    of small classes are the nearest that is possible.

    Args:
        labels: `[B]` integers; all the same where there are no classes to mind.
        fraction: which share, from 0 to below 1; of 0 nothing is held out.
        seed: draws the rows.
        stream: tells the uses of a seed apart: `TEST_STREAM` or `VALIDATION_STREAM`.

    Raises:
        ConfigError: nothing could be held out, though `fraction` is not 0.

    >>> kept, held_out = split_by_class(np.array([0] * 8 + [1] * 2), 0.25, 0, stream=TEST_STREAM)
    >>> (held_out < 8).sum(), (held_out >= 8).sum(), len(kept)
    (np.int64(2), np.int64(1), 7)
    """
    if not 0 <= fraction < 1:
        raise ConfigError(f"the share of rows to hold out: expected 0 <= share < 1, not {fraction}")
    if fraction == 0:
        return np.arange(len(labels), dtype=np.int32), np.empty(0, np.int32)
    order = shuffled(len(labels), seed, stream)
    # Stable: within a class, in the order that was drawn.
    by_class = order[np.argsort(labels[order], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    is_out = np.zeros(len(labels), bool)
    for start, count in zip(np.cumsum(counts) - counts, counts, strict=True):
        share = min(max(round(count * fraction), 1), count - 1)
        is_out[by_class[start : start + share]] = True
    if not is_out.any():
        raise ConfigError(
            f"the share of rows to hold out: {fraction} of {len(labels)} rows, one of each class, "
            "is none; give more rows, or 0 to hold out none"
        )
    kept, held_out = np.flatnonzero(~is_out), np.flatnonzero(is_out)
    return kept.astype(np.int32), held_out.astype(np.int32)
