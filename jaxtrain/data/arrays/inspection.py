"""What there is in a file of arrays, for somebody who wants to begin with it.

    seen = inspect_arrays(Path("mnist.npz"))
    seen.pairs["train"]          # Pair("x_train", "y_train")
    seen.inputs.head             # uint8[60000, 28, 28]
    seen.labels.counts           # {"0": 5923, ...}

The arrays that would be trained and judged with are read; of the others only the headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.npy import Head
from jaxtrain.data.arrays.parts import Pair, find_pairs, read_pairs
from jaxtrain.errors import DataError

_COUNTED = 10_000  # different values of which it is said how often each occurs


@dataclass(frozen=True)
class SeenArray:
    """What was seen of one array.

    Args:
        name: what it is called.
        head: its shape and dtype.
        low: its smallest finite number; None of texts, or where there is none.
        high: its largest, likewise.
        not_finite: how many values are NaN or infinite.
        first: the place of the first of these.
    """

    name: str
    head: Head
    low: float | None = None
    high: float | None = None
    not_finite: int = 0
    first: tuple[int, ...] = ()


@dataclass(frozen=True)
class SeenLabels:
    """What was seen of the training labels.

    Args:
        array: as of every array.
        distinct: how many different values there are.
        counts: how often each of them occurs, where they are few.
        is_whole: whether they are whole numbers, in whatever dtype.
        is_one_hot: whether each row `[B, K]` says yes to one class and no to all others.
    """

    array: SeenArray
    distinct: int
    counts: Mapping[str, int]
    is_whole: bool
    is_one_hot: bool


@dataclass(frozen=True)
class ArraysInspection:
    """What was seen.

    Args:
        path: the file.
        pairs: the arrays of the sets that have labels, "train" among them.
        arrays: all that were read, by name.
        labels: the training labels.
        left_out: the names of arrays that are not used.
        faults: why some of these can't be read.
    """

    path: Path
    pairs: Mapping[str, Pair]
    arrays: Mapping[str, SeenArray]
    labels: SeenLabels
    left_out: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def inputs(self) -> SeenArray:
        """The training inputs."""
        return self.arrays[self.pairs["train"].inputs]


def inspect_arrays(path: Path) -> ArraysInspection:
    """Look at a file of arrays as the source "arrays" does.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: its arrays are not to be told apart, or need more than half of the memory.
        DataError: it is broken.
    """
    archive = ArrayFile(path)
    pairs = find_pairs(archive, {}, fitted=False)
    raw = read_pairs(archive, pairs.values())
    seen = {name: _seen(name, archive.heads[name], array) for name, array in raw.items()}
    target = pairs["train"].labels
    return ArraysInspection(
        path=path,
        pairs=pairs,
        arrays=seen,
        labels=_seen_labels(seen[target], raw[target]),
        left_out=tuple(name for name in (*archive.heads, *archive.faults) if name not in raw),
        faults=tuple(archive.faults.values()),
    )


def _seen(name: str, head: Head, array: np.ndarray) -> SeenArray:
    if head.dtype.kind not in "biuf":
        return SeenArray(name, head)
    low, high = array.min(), array.max()
    if np.isfinite(low) and np.isfinite(high):
        return SeenArray(name, head, float(low), float(high))
    bad = ~np.isfinite(array)
    good = array[~bad]
    place = tuple(int(axis) for axis in np.unravel_index(int(bad.argmax()), array.shape))
    return SeenArray(
        name,
        head,
        low=float(good.min()) if good.size else None,
        high=float(good.max()) if good.size else None,
        not_finite=int(bad.sum()),
        first=place,
    )


def _seen_labels(seen: SeenArray, raw: np.ndarray) -> SeenLabels:
    try:
        values, counts = np.unique(raw, return_counts=True)
        names = [_name(value) for value in values.tolist()] if len(values) <= _COUNTED else []
    except ValueError:  # bytes that are none
        raise DataError(f"{seen.name}: texts that are not UTF-8") from None
    numeric = raw.dtype.kind in "biuf"
    whole = numeric and bool(np.isfinite(values).all() and (values == np.floor(values)).all())
    one_hot = (
        numeric
        and raw.ndim == 2
        and raw.shape[1] > 1
        and values.tolist() == [0, 1]
        and bool((raw.sum(axis=1) == 1).all())
    )
    return SeenLabels(
        array=seen,
        distinct=len(values),
        counts=dict(zip(names, counts.tolist(), strict=True)) if names else {},
        is_whole=whole,
        is_one_hot=one_hot,
    )


def _name(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return f"{value:g}" if isinstance(value, float) else str(value)
