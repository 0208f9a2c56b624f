"""A sweep that takes seconds: eight-wide MLPs on scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

from jaxtrain.config import from_cli_dotlist, load, merge
from jaxtrain.sweeps import Sweep, SweepConfig

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "digits.py"
WORDS = ("model.hidden=[8]", "data.batch_size=256", "train.epochs=4", "hooks.tensorboard=null")

SPACE = {
    "optimizer.learning_rate": {"log_uniform": [1e-3, 1e-1]},
    "model.dropout": {"uniform": [0.05, 0.4]},
    "seed": {"int": [0, 3]},
}


def tree(*words: str):
    """The config as it is written."""
    return merge(load(CONFIG), from_cli_dotlist([*WORDS, *words]))


def sweep(directory: Path, *words: str, **more) -> Sweep:
    """A random search of four members; `more` are entries of its file."""
    said = {"members": 4, "space": SPACE, **more}
    return Sweep(tree(*words), SweepConfig(said), directory)
