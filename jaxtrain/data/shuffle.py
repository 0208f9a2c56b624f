"""Random orders that never change: the same on every machine, in every version of NumPy.

    shuffled(5, seed=0, stream=3)                            # the order of epoch 3
    kept, held_out = split_indices(1000, 0.1, seed=0)

Both draw from one seed, and never the same bits: epochs are the streams from 0 on, a split has a
stream of its own.
"""

from __future__ import annotations

import numpy as np

from jaxtrain.errors import ConfigError, DataError

SPLIT_STREAM = 2**63  # beyond any epoch: a split and an epoch's order never share their bits


def shuffled(length: int, seed: int, stream: int) -> np.ndarray:
    """A permutation of `range(length)` `[length]` int32: a function of the arguments alone.

    `stream` tells the uses of one seed apart: an epoch's number, or `SPLIT_STREAM`.

    The bits come straight from the Philox generator, whose stream NumPy keeps fixed; its own
    `permutation` may change from one NumPy version to the next, and with it a resumed run.
    """
    if not 0 < length < 2**31:
        raise DataError(f"expected between 1 and 2**31 - 1 rows to shuffle, found {length}")
    # Random high bits, the row number in the low ones: sorting shuffles, and no two are equal.
    low = np.uint64((1 << length.bit_length()) - 1)
    keys = np.random.Philox(key=np.array([seed, stream], np.uint64)).random_raw(length)
    keys &= ~low
    keys |= np.arange(length, dtype=np.uint64)
    keys.sort()
    keys &= low
    return keys.astype(np.int32)


def split_indices(length: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to keep and rows to hold out, a share of `fraction` drawn by `seed`; both ascending.

    Raises:
        ConfigError: `fraction` is outside [0, 1), or one of the two parts would be empty though
            `fraction` is not 0.

    >>> kept, held_out = split_indices(10, 0.2, seed=0)
    >>> len(kept), len(held_out), sorted([*kept.tolist(), *held_out.tolist()]) == list(range(10))
    (8, 2, True)
    """
    if not 0 <= fraction < 1:
        raise ConfigError(
            f"the fraction of rows to hold out: expected 0 <= fraction < 1, found {fraction}"
        )
    count = round(length * fraction)
    if fraction > 0 and not 0 < count < length:
        raise ConfigError(
            f"the fraction of rows to hold out: {fraction} of {length} rows is {count}, which "
            "leaves one part empty; choose another fraction, or 0 to hold out none"
        )
    order = shuffled(length, seed, SPLIT_STREAM)
    return np.sort(order[count:]), np.sort(order[:count])
