"""How large a model, how large batches and how long a training to begin with.

pace(2160)                               # Pace(batch_size=64, epochs=30, learning_rate=0.001)
convolutions((28, 28))                   # [32, 64]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_BATCHES = ((16, 400), (32, 2000), (64, 20_000), (128, 2**63))  # rows of one, up to so many in all
_STEPS = 1000  # in all: enough for a small network to settle
_FEWEST, _MOST = 6, 40  # epochs


@dataclass(frozen=True)
class Pace:
    """How a training proceeds.

    Args:
        batch_size: rows of a batch.
        epochs: how often each row is seen.
        learning_rate: the largest, of a cosine schedule.
    """

    batch_size: int
    epochs: int
    learning_rate: float

    def sections(self) -> dict[str, Any]:
        """The sections of a config about it, but for the batch size."""
        return {
            "optimizer": {
                "name": "adamw",
                "learning_rate": self.learning_rate,
                "weight_decay": 1e-4,
            },
            "schedule": {"name": "cosine"},
            "train": {"epochs": self.epochs},
        }

    def words(self) -> str:
        """For a person."""
        return f"{self.epochs} epochs in batches of {self.batch_size}"


def pace(rows: int) -> Pace:
    """A pace for so many training rows.

    >>> pace(100), pace(54_000)
    (Pace(batch_size=16, epochs=40, learning_rate=0.003),
     Pace(batch_size=128, epochs=6, learning_rate=0.001))
    """
    batch_size = next(size for size, up_to in _BATCHES if rows <= up_to)
    steps = -(-rows // batch_size)
    epochs = min(max(-(-_STEPS // steps), _FEWEST), _MOST)
    # Who has few steps must take larger ones.
    return Pace(batch_size, epochs, 3e-3 if steps * epochs < _STEPS else 1e-3)


def convolutions(size: tuple[int, int]) -> list[int]:
    """The channels of each block of a CNN, which leave at least 4x4 of the image where they can.

    >>> convolutions((8, 8)), convolutions((28, 28)), convolutions((64, 48))
    ([32], [32, 64], [16, 32, 64])
    """
    blocks = max(min(size).bit_length() - 3, 1)
    return [[32], [32, 64], [16, 32, 64], [16, 32, 64, 128]][min(blocks, 4) - 1]


def perceptron(rows: int) -> dict[str, Any]:
    """The options of an MLP, for so many training rows.

    >>> perceptron(300)["hidden"], perceptron(50_000)["hidden"]
    ([32, 32], [256, 128])
    """
    if rows < 1000:
        return {"name": "mlp", "hidden": [32, 32], "dropout": 0.1}
    return {"name": "mlp", "hidden": [128, 64] if rows < 10_000 else [256, 128], "dropout": 0.1}


def remaining(rows: int, *, test: bool, validation: bool) -> int:
    """About how many training rows are left, where the shares for the other sets are held out.

    Args:
        rows: those that there are.
        test: whether a fifth of them is held out as the test set.
        validation: whether a tenth of the rest is held out for validation.

    >>> remaining(1000, test=True, validation=True)
    720
    """
    kept = rows - round(rows * 0.2) if test else rows
    return kept - round(kept * 0.1) if validation else kept
