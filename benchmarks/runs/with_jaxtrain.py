"""jaxtrain by its command line: a config, and nothing else.

command = command_of(words)            # python -m jaxtrain.main config.json ...
accuracy = figures_of(words.out)       # of the run's own files
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.loops.tasks import LEARNING_RATE, WEIGHT_DECAY
from benchmarks.runs.settings import DECAY, EVALUATION_BATCH, Setting

SOURCE = Path(__file__).with_name("source.py")


def config_of(setting: Setting, data: Path) -> dict[str, Any]:
    """What the config file says; progress, console, CSV and JSON lines are there by themselves."""
    flat = setting.model == "mlp"
    shape = {"hidden": list(setting.hidden)} | ({} if flat else {"channels": [*setting.channels]})
    return {
        "data": {
            "name": "mnist_validated_on_test",
            "root": str(data),
            "flat": flat,
            "batch_size": setting.batch_size,
            "eval_batch_size": EVALUATION_BATCH,
        },
        "model": {"name": setting.model, **shape},
        "optimizer": {
            "name": "adamw",
            "learning_rate": LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
        },
        "schedule": {"name": "step", "every": 1, "unit": "epochs", "factor": DECAY},
        "train": {"epochs": setting.most_epochs},
        "checkpoint": {"monitor": "val/accuracy", "keep": 1},
        "hooks": {
            "early_stopping": {
                "monitor": "val/accuracy",
                "target": setting.target,
                "patience": setting.most_epochs,
            }
        },
    }


def words_for(setting: Setting, seed: int, data: Path, out: Path) -> list[str]:
    """The words of the command line, behind `python -m jaxtrain.main`; writes the config."""
    out.mkdir(parents=True, exist_ok=True)
    config = out / "config.json"
    config.write_text(json.dumps(config_of(setting, data)))
    return [
        *(str(config), "--plugin", str(SOURCE)),
        *("--seed", str(seed), "--workdir", str(out / "run")),
    ]


def command_of(setting: Setting, seed: int, data: Path, out: Path) -> list[str]:
    """The whole command."""
    return [sys.executable, "-m", "jaxtrain.main", *words_for(setting, seed, data, out)]


def figures_of(out: Path) -> dict[str, Any]:
    """Epochs, and the accuracy behind the last of them."""
    rows = (out / "run" / "metrics.jsonl").read_text().splitlines()
    accuracies = [row["val/accuracy"] for row in map(json.loads, rows) if "val/accuracy" in row]
    return {"epochs": len(accuracies), "accuracy": accuracies[-1]}
