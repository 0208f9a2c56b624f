"""What the configs beside this file share. Not a run of its own: it names no data and no model."""

from jaxtrain.config import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "seed": 0,
            "optimizer": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-4},
            "schedule": {"name": "cosine"},
            "checkpoint": {"monitor": "val/loss", "keep": 2},
            # Beside the hooks that every run has: progress, console, jsonl, csv and nan_guard.
            "hooks": {"tensorboard": {"every": 100}},
        }
    )
