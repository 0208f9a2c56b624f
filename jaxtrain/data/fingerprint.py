"""Which data these are, in 64 letters.

    fingerprint({"inputs": x, "labels": y})                  # "9f86d08..."

A saved place in data is one in data of the same fingerprint only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """The sha256 (hex) of names, dtypes, shapes and bytes; the order of the names is of no account.

    >>> fingerprint({"inputs": np.zeros((2, 3))}) == fingerprint({"inputs": np.zeros((3, 2))})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        # `dtype.str` spells the byte order out, so that the same bytes never mean two things.
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
