"""MNIST, a plain CNN: two convolutions and a dense layer."""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "mnist_cnn",
            "data": {"name": "mnist", "root": "data/mnist", "flat": False, "batch_size": 64},
            "model": {"name": "cnn", "channels": [32, 64], "hidden": [128], "dropout": 0.25},
            "optimizer": {"learning_rate": 2e-3},
            "train": {"epochs": 5},
        },
    )
