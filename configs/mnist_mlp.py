"""MNIST, an MLP with dropout."""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "mnist_mlp",
            "data": {"name": "mnist", "root": "data/mnist", "batch_size": 128},
            "model": {"name": "mlp", "hidden": [512, 256], "dropout": 0.2},
            "train": {"epochs": 12},
        },
    )
