"""What is searched, and where: a config that is there, with numbers of its own in each member.

    case = CASES["digits"]
    case.members, case.space, case.file

No key of the space parts the members, so that all are one program, and the seed is the config's:
all ways train the same rows, and whoever reads them once may.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

SPACE: dict[str, dict[str, tuple[float, float]]] = {
    "optimizer.learning_rate": {"log_uniform": (3e-4, 3e-2)},
    "optimizer.weight_decay": {"log_uniform": (1e-6, 1e-2)},
    "model.dropout": {"uniform": (0.05, 0.5)},
    "loss.label_smoothing": {"uniform": (0.01, 0.2)},
}


@dataclass(frozen=True)
class Case:
    """A config, and how many members it has.

    Attributes:
        name: as the command line knows it.
        config: the file's name, in `configs`.
        members: in all.
        data: the directory of its data among the others; None where it needs none.
        words: what is set besides, as `{"train.epochs": 9}`.
    """

    name: str
    config: str
    members: int
    data: str | None = None
    words: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The config."""
        return ROOT / "configs" / self.config

    def overrides(self, data: Path) -> dict[str, Any]:
        """What every member has that does not stand in the file.

        Args:
            data: the directory of all data.
        """
        return {**self.words, **({} if self.data is None else {"data.root": str(data / self.data)})}


CASES = {
    case.name: case
    for case in (
        Case("digits", "digits.py", 64),
        Case("mnist", "mnist_mlp.py", 16, "mnist"),
    )
}


@dataclass(frozen=True)
class Setting:
    """What a peer's script trains; it and the arrays are all that a script reads.

    Attributes:
        outputs: classes.
        hidden: widths of the hidden layers.
        batch_size: rows a step.
        epochs: of a trial; the rate falls in half a cosine over them.
        trials: how many.
        seed: of the search, and of all trials.
        space: as a sweep has it.
    """

    outputs: int
    hidden: tuple[int, ...]
    batch_size: int
    epochs: int
    trials: int
    seed: int
    space: dict[str, dict[str, tuple[float, float]]]

    def write(self, place: Path) -> None:
        """Leave it where a script looks, beside `data.npz`."""
        (place / "setting.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, place: Path) -> Setting:
        """What `write` left."""
        return cls(**json.loads((place / "setting.json").read_text()))
