"""Rows that fit in memory, and the three sets of them that a run needs.

    dataset = Dataset(inputs, labels, name="digits", num_outputs=10)
    train, validation = dataset.split(0.1, seed=0)
    len(train), train.fingerprint()

Axis letters: B rows, D columns of a regression target. Inputs are `[B, ...]`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from jaxtrain.errors import ConfigError, DataError

Task = Literal["classification", "regression"]

SPLIT_STREAM = 2**63  # beyond any epoch: a split and an epoch's order never share their bits


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
        raise ConfigError(f"data.validation_fraction: expected 0 <= fraction < 1, found {fraction}")
    count = round(length * fraction)
    if fraction > 0 and not 0 < count < length:
        raise ConfigError(
            f"data.validation_fraction: {fraction} of {length} rows is {count}, which leaves one "
            "part empty; choose another fraction, or 0 for no validation set"
        )
    order = shuffled(length, seed, SPLIT_STREAM)
    return np.sort(order[count:]), np.sort(order[:count])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and labels, row by row. The arrays are kept as read-only views, without a copy.

    Args:
        inputs: `[B, ...]` float32.
        labels: classes `[B]` int32 from 0, or targets `[B]` or `[B, D]` float32.
        name: what messages call it.
        task: "classification" or "regression".
        num_outputs: the classes, or D (1 for targets `[B]`): what the model must put out.
        label_names: the name of each class, where they have names.

    Raises:
        DataError: no rows, inputs and labels of different lengths, or an impossible `num_outputs`.
            Dtypes and values are the business of `check_dataset`.
    """

    inputs: np.ndarray
    labels: np.ndarray
    name: str = "dataset"
    task: Task = "classification"
    num_outputs: int = 1
    label_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.inputs.ndim < 1 or self.labels.ndim < 1 or len(self.inputs) != len(self.labels):
            raise DataError(
                f"{self.name}: expected one label for each row, found inputs of shape "
                f"{self.inputs.shape} and labels of shape {self.labels.shape}"
            )
        if len(self.inputs) == 0:
            raise DataError(f"{self.name}: expected at least one row, found none")
        if self.task not in ("classification", "regression"):
            raise DataError(
                f"{self.name}: task must be 'classification' or 'regression', found {self.task!r}"
            )
        if self.num_outputs < 1:
            raise DataError(f"{self.name}: num_outputs must be 1 or more, found {self.num_outputs}")
        if self.label_names and len(self.label_names) != self.num_outputs:
            raise DataError(
                f"{self.name}: expected {self.num_outputs} label names, "
                f"found {len(self.label_names)}"
            )
        for field in ("inputs", "labels"):
            # A write through a dataset would change the data under a cached fingerprint.
            view = getattr(self, field).view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, {self.task}, inputs {self.inputs.dtype}"
            f"{list(self.inputs.shape)}, labels {self.labels.dtype}{list(self.labels.shape)}, "
            f"num_outputs={self.num_outputs})"
        )

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """`{"inputs": [B, ...], "labels": [B] or [B, D]}`: what a loader cuts into batches."""
        return {"inputs": self.inputs, "labels": self.labels}

    def select(self, indices: np.ndarray) -> Dataset:
        """The rows `indices`, in that order, as a data set of its own."""
        return replace(self, inputs=self.inputs[indices], labels=self.labels[indices])

    def split(self, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
        """`(rest, held_out)`: the same `seed` gives the same rows. See `split_indices`."""
        if fraction == 0:
            raise ConfigError("expected a fraction above 0: a data set cannot be empty")
        kept, held_out = split_indices(len(self), fraction, seed)
        return self.select(kept), self.select(held_out)

    def fingerprint(self) -> str:
        """The sha256 (hex) of the arrays; computed once."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.arrays)


@dataclass(frozen=True, eq=False)
class Splits:
    """What a data source returns.

    Args:
        train: what the model learns from, and the only rows that statistics are fitted on.
        validation: rows held out of the training data by seed; None where none were asked for.
        test: rows of the source's own test set.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
