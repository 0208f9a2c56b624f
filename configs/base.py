"""What the configs beside this file share. Not a run of its own: it names no data and no model."""

from jaxtrain.config import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "seed": 0,
            "optimizer": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-4},
            "schedule": {"name": "cosine"},
            "checkpoint": {"monitor": "val/loss", "mode": "min", "keep": 2},
            "hooks": {
                "progress": {},
                "console": {},
                "jsonl": {"every": 100},
                "csv": {},
                "tensorboard": {"every": 100},
                "nan_guard": {},
            },
        }
    )
