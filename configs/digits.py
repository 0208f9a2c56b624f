"""Scikit-learn's 8x8 digits, a small MLP: seconds on a CPU, nothing to download."""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "digits",
            "data": {"name": "digits", "batch_size": 32},
            "model": {"name": "mlp", "hidden": [128, 128], "dropout": 0.2},
            "loss": {"name": "cross_entropy", "label_smoothing": 0.05},
            "optimizer": {"learning_rate": 2e-3},
            "train": {"epochs": 30},
        },
    )
