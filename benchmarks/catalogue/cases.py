"""What is trained: the same sizes and the same numbers in every framework.

    case = CASES["lstm"]
    inputs, labels = case.data()
    training("PyTorch, eager", case).round(10)          # rows a second

Axes: B rows, H height, W width of images, C channels, L steps, D features.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np

from benchmarks.language.rates import Trains

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4

# By name: the file, and whether its model is compiled.
FRAMEWORKS = {
    "jaxtrain, bare step": ("with_jaxtrain", True),
    "PyTorch, eager": ("with_torch", False),
    "PyTorch, compiled": ("with_torch", True),
}


@dataclass(frozen=True)
class Case:
    """A model, and one batch of random rows to train it on.

    Attributes:
        model: which one.
        batch: B.
        row: of one row of the inputs: [H, W, C], [L, D] or tokens [L].
        widths: of convolutions, or of layers.
        classes: how many.
        vocabulary: of tokens; 0 where inputs are floats.
        heads: of an encoder.
        layers: of an encoder or an LSTM; blocks of each stage of a ResNet.
    """

    model: Literal["cnn", "resnet18", "lstm", "encoder"]
    batch: int
    row: tuple[int, ...]
    widths: tuple[int, ...]
    classes: int = 10
    vocabulary: int = 0
    heads: int = 1
    layers: int = 1

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """`inputs` [B, ...] float32 or int32, and `labels` [B] int32."""
        draw = np.random.default_rng(0)
        shape = (self.batch, *self.row)
        if self.vocabulary:
            inputs = draw.integers(0, self.vocabulary, shape, dtype=np.int32)
        else:
            inputs = draw.normal(size=shape).astype(np.float32)
        return inputs, draw.integers(0, self.classes, self.batch, dtype=np.int32)

    def tiny(self) -> Case:
        """The same in sizes that say nothing of its speed."""
        row = {"lstm": (4, 3), "encoder": (4,)}.get(self.model, (8, 8, self.row[-1]))
        # With 4 channels, channels last, PyTorch 2.13 writes over its own memory.
        widths = tuple(16 for _ in self.widths)
        return dataclasses.replace(self, batch=2, row=row, widths=widths, layers=1)


CASES = {
    "cnn": Case("cnn", 64, (28, 28, 1), (32, 64)),
    "resnet18": Case("resnet18", 32, (32, 32, 3), (64, 128, 256, 512), layers=2),
    "lstm": Case("lstm", 64, (64, 64), (256,)),
    "encoder": Case("encoder", 32, (128,), (128,), vocabulary=4096, heads=4, layers=4),
}


def training(name: str, case: Case) -> Trains:
    """A framework's `Training`; imports the framework."""
    file, compiled = FRAMEWORKS[name]
    made: Any = import_module(f"benchmarks.catalogue.{file}").Training(case, compiled)
    return made
