"""Rows that fit in memory: inputs and labels.

    dataset = Dataset(inputs, labels, name="digits", num_outputs=10)
    train, validation = dataset.split(0.1, seed=0)
    for batch in train.loader(batch_size=32): ...
    len(train), train.fingerprint()

Axis letters: B rows, D columns of a regression target. Inputs are `[B, ...]`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from jaxtrain.data.array_loader import ArrayLoader
from jaxtrain.data.epoch_order import LastBatch
from jaxtrain.data.fingerprint import fingerprint
from jaxtrain.data.rows import Task, refuse_impossible
from jaxtrain.data.shuffle import split_indices
from jaxtrain.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and labels, row by row: `Rows` in memory.

    The arrays are kept as read-only views, without a copy.

    Args:
        inputs: `[B, ...]` float32.
        labels: classes `[B]` int32 from 0, or targets `[B]` or `[B, D]` float32.
        name: what messages call it.
        task: "classification" or "regression".
        num_outputs: the classes, or D (1 for targets `[B]`): what the model must put out.
        label_names: the name of each class, where they have names.
        image_shape: `(H, W)` or `(H, W, C)` where an input is a picture, flat or not.

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
    image_shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.inputs.ndim < 1 or self.labels.ndim < 1 or len(self.inputs) != len(self.labels):
            raise DataError(
                f"{self.name}: expected one label for each row, found inputs of shape "
                f"{self.inputs.shape} and labels of shape {self.labels.shape}"
            )
        if len(self.inputs) == 0:
            raise DataError(f"{self.name}: expected at least one row, found none")
        refuse_impossible(self)
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

    def loader(
        self, *, batch_size: int, shuffle: bool = True, seed: int = 0, last_batch: LastBatch = "pad"
    ) -> ArrayLoader:
        """Its batches; see `ArrayLoader` for the options."""
        return ArrayLoader(
            self, batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch
        )

    def fingerprint(self) -> str:
        """The sha256 (hex) of the arrays; computed once."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.arrays)
