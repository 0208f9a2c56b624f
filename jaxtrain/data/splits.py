"""The three sets of rows that a run needs: what a data source returns.

splits = Splits(train=dataset, validation=None, test=LoaderRows(make, num_outputs=10))
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtrain.data.rows import Rows
from jaxtrain.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Splits:
    """What a data source returns.

    Args:
        train: what the model learns from, and the only rows that statistics are fitted on.
        validation: rows held out of the training data by seed; None where none were asked for.
        test: rows of the source's own test set.

    Raises:
        ConfigError: one of them is no `Rows`.
    """

    train: Rows
    validation: Rows | None
    test: Rows

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            rows = getattr(self, part)
            if not (isinstance(rows, Rows) or (part == "validation" and rows is None)):
                raise ConfigError(
                    f"{part}: expected a Dataset or LoaderRows, found a {type(rows).__name__}"
                )
