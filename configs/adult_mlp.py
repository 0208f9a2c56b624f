"""Adult (who earns more than 50,000 a year), a table with categories and gaps, an MLP."""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "adult_mlp",
            "data": {"name": "adult", "root": "data/adult", "batch_size": 256},
            "model": {"name": "mlp", "hidden": [64, 32]},
            "train": {"epochs": 15},
        },
    )
