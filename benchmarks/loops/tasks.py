"""What is trained: the same sizes and the same data in every framework.

    task = TASKS["digits_mlp"]
    arrays = task.data()
    arrays["inputs"].shape        # (1792, 64)

The data have the shapes of the real ones and are drawn at random, but for the digits, which come
with scikit-learn: the speed of a step doesn't depend on what stands in its arrays. Their number is
a multiple of the batch size, because frameworks do different things with a rest.

Axes: N rows, L length.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4

# The transformer's sizes.
VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS = 256, 32, 64, 4, 2

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Task:
    """A model to train by AdamW on cross-entropy, over shuffled data in memory.

    Attributes:
        name: as the command line knows it.
        model: "mlp", "cnn" or "transformer".
        batch_size: rows a step.
        batches: steps an epoch.
        row: the shape of one row of the inputs.
        outputs: classes.
        hidden: widths of the hidden dense layers.
        channels: of the 3x3 convolutions, each with a 2x2 max pool behind it.
        draw: `(rows) -> {"inputs", "labels"}`.
    """

    name: str
    model: Literal["mlp", "cnn", "transformer"]
    batch_size: int
    batches: int
    row: tuple[int, ...]
    outputs: int
    draw: Callable[[int], Arrays]
    hidden: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()

    def data(self) -> Arrays:
        """`inputs` [N, ...] float32 (int32 tokens [N, L]) and `labels` [N] ([N, L]) int32."""
        return self.draw(self.batch_size * self.batches)

    def shortened(self, batches: int) -> Task:
        """The same task with an epoch of so many steps."""
        return dataclasses.replace(self, batches=batches)


def _digits(rows: int) -> Arrays:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return {
        "inputs": (images[:rows] / 16).astype(np.float32),
        "labels": labels[:rows].astype(np.int32),
    }


def _flat_images(rows: int) -> Arrays:
    arrays = _images(rows)
    return arrays | {"inputs": arrays["inputs"].reshape(rows, 784)}


def _images(rows: int) -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "inputs": rng.random((rows, 28, 28, 1), np.float32),
        "labels": rng.integers(0, 10, rows, np.int32),
    }


def _bytes(rows: int) -> Arrays:
    text = np.random.default_rng(0).integers(0, VOCABULARY, (rows, LENGTH + 1), np.int32)
    return {"inputs": text[:, :-1].copy(), "labels": text[:, 1:].copy()}


TASKS = {
    task.name: task
    for task in (
        Task("digits_mlp", "mlp", 32, 56, (64,), 10, _digits, hidden=(64,)),
        Task("mnist_mlp", "mlp", 64, 937, (784,), 10, _flat_images, hidden=(256, 128)),
        # A part of MNIST: a whole epoch would take one framework two minutes.
        Task(
            "mnist_cnn", "cnn", 64, 50, (28, 28, 1), 10, _images, hidden=(128,), channels=(32, 64)
        ),
        Task("transformer", "transformer", 32, 100, (LENGTH,), VOCABULARY, _bytes),
    )
}
