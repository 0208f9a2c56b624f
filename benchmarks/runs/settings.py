"""What each script trains, and until when: MNIST to an accuracy on its 10,000 test images.

    setting = SETTINGS["mlp"]
    words = words_of(argv)                 # the words that each script takes
    task = setting.task(words.data)        # of `benchmarks.loops.tasks`, over the real images

All train by AdamW at a rate that falls from epoch to epoch, on batches of the same size, the last
one of an epoch smaller. Whoever validates after an epoch and finds the accuracy ends there.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.loops.tasks import Arrays, Task

EVALUATION_BATCH = 1000
DECAY = 0.7
"""What the rate is multiplied by after each epoch: at one that stays, when an accuracy is met is a
matter of luck."""


@dataclass(frozen=True)
class Setting:
    """A model, and when it is good enough.

    Attributes:
        model: "mlp" or "cnn".
        target: of the accuracy.
        batch_size: rows a step.
        hidden: widths of the hidden dense layers.
        channels: of the 3x3 convolutions, each with a 2x2 max pool behind it.
        most_epochs: who has not got there then, has not.
    """

    model: Literal["mlp", "cnn"]
    target: float
    batch_size: int
    hidden: tuple[int, ...]
    channels: tuple[int, ...] = ()
    most_epochs: int = 30

    def task(self, data: Path) -> Task:
        """The model with the training images."""
        row = (784,) if self.model == "mlp" else (28, 28, 1)
        draw = partial(_drawn, data, self.model == "mlp", "train")
        return Task(
            self.model, self.model, self.batch_size, 0, row, 10, draw, self.hidden, self.channels
        )

    def held_out(self, data: Path) -> Task:
        """The same with the test images, scaled as those of training are."""
        return dataclasses.replace(
            self.task(data), draw=partial(_drawn, data, self.model == "mlp", "t10k")
        )


SETTINGS = {
    "mlp": Setting("mlp", 0.98, 128, (512, 256)),
    "cnn": Setting("cnn", 0.99, 64, (128,), (32, 64)),
}


@dataclass(frozen=True)
class Words:
    """What a script is told."""

    setting: Setting
    seed: int
    data: Path
    out: Path

    def say(self, epochs: int, accuracy: float) -> None:
        """Leave what came of it where `benchmarks.whole` looks."""
        found = {"epochs": epochs, "accuracy": accuracy}
        (self.out / "figures.json").write_text(json.dumps(found))


def words_of(argv: Sequence[str] | None = None) -> Words:
    """The words of a script; each has the same."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=tuple(SETTINGS), required=True)
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args(argv)
    said.out.mkdir(parents=True, exist_ok=True)
    setting = dataclasses.replace(SETTINGS[said.model], target=said.target)
    return Words(setting, said.seed, said.data, said.out)


def _drawn(data: Path, flat: bool, which: str, rows: int) -> Arrays:
    """All images of a set, less the mean of the training pixels, over their deviation."""
    train = _idx(data / "train-images-idx3-ubyte.gz", 16)
    pixels = train if which == "train" else _idx(data / f"{which}-images-idx3-ubyte.gz", 16)
    labels = _idx(data / f"{which}-labels-idx1-ubyte.gz", 8)
    inputs = (pixels.astype(np.float32) - np.float32(train.mean())) / np.float32(train.std())
    shape = (len(labels), 784) if flat else (len(labels), 28, 28, 1)
    return {"inputs": inputs.reshape(shape), "labels": labels.astype(np.int32)}


def _idx(path: Path, header: int) -> np.ndarray:
    with gzip.open(path) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=header)
