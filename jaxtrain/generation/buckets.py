"""Buckets of lengths: few shapes, and so few compilations.

    bucket(50)                               # 64
    padded([[5, 6], [7]], width=4)           # [[5, 6, 0, 0], [7, 0, 0, 0]], [2, 1]

Axes: B rows, W width of a bucket.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SMALLEST = 16


def bucket(length: int) -> int:
    """The smallest power of two that holds `length`, and at least 16.

    >>> [bucket(length) for length in (1, 16, 17, 200)]
    [16, 16, 32, 256]
    """
    return max(SMALLEST, 1 << (length - 1).bit_length())


def padded(rows: Sequence[np.ndarray], *, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal lengths as one array, zeros behind each, and how long they are.

    Args:
        rows: each `[up to W]`.
        width: W.

    Returns:
        `[B, W]` and `[B]`, int32.
    """
    filled = np.zeros((len(rows), width), np.int32)
    for row, tokens in zip(filled, rows, strict=True):
        row[: len(tokens)] = tokens
    return filled, np.asarray([len(tokens) for tokens in rows], np.int32)
