"""Small runs: what the tests of this room are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxtrain.data import SOURCES, Dataset, Splits
from jaxtrain.run import make_config

CONFIGS = Path(__file__).parents[2] / "configs"
QUIET = [
    "hooks.progress=null",
    "hooks.console=null",
    "hooks.tensorboard=null",
    "model.hidden=[8]",
    "train.epochs=2",
]


@pytest.fixture
def digits():
    """digits("train.epochs=1"): the checked config of a small run on the digits."""
    return lambda *overrides: make_config(CONFIGS / "digits.py", [*QUIET, *overrides])


@pytest.fixture
def source(monkeypatch):
    """source(make_splits): the name of a data source that returns those; counts its calls."""
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))

    def register(make_splits):
        calls = []
        SOURCES._factories.pop("tests_source", None)

        @SOURCES.register("tests_source")
        def tests_source():
            calls.append(1)
            return make_splits()

        return calls

    return register


def dataset(rows=60, seed=0, *, nan=False, labels=None, width=6, classes=3):
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(rows, width)).astype(np.float32)
    if nan:
        inputs[0, 0] = np.nan
    if labels is None:
        labels = np.arange(rows) % classes
    return Dataset(inputs, np.asarray(labels, np.int32), name="made", num_outputs=classes)


@pytest.fixture
def made():
    """made(test=dataset(rows=9)): splits of random rows; `made.dataset` makes a set of them."""

    def splits(**parts):
        defaults = {"train": dataset(60), "validation": dataset(12, 1), "test": dataset(12, 2)}
        return Splits(**(defaults | parts))

    splits.dataset = dataset
    return splits
