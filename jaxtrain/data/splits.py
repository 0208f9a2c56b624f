"""The three sets of rows that a run needs: what a data source returns.

splits = Splits(train=dataset, validation=None, test=LoaderRows(make, num_outputs=10))
splits.sets                                                  # {"train": ..., "test": ...}
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from jaxtrain.data.reader import Reader
from jaxtrain.data.rows import Rows
from jaxtrain.data.target_scale import TargetScale
from jaxtrain.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Splits:
    """What a data source returns.

    Args:
        train: what the model learns from, and the only rows that statistics are fitted on; None
            only where a source was given what was `fitted` and the training file is gone.
        validation: rows held out of the training data by seed; None where none were asked for.
        test: rows of the source's own test set; None only beside `train` None.
        reader: reads new data as these were read; what it has fitted goes into the checkpoints.
        target_scale: of a regression's standardised targets: the labels of all sets are in it, and
            metrics and predictions come out in the unit of the data.

    Raises:
        ConfigError: one of them is no `Rows`, or there is none.
    """

    train: Rows | None
    validation: Rows | None
    test: Rows | None
    _: KW_ONLY
    reader: Reader | None = None
    target_scale: TargetScale | None = None

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            rows = getattr(self, part)
            absent = rows is None and (part == "validation" or self.train is None)
            if not (isinstance(rows, Rows) or absent):
                raise ConfigError(
                    f"{part}: expected a Dataset or LoaderRows, found a {type(rows).__name__}"
                )
        if not self.sets:
            raise ConfigError("expected at least one set of rows, found none")

    @property
    def sets(self) -> dict[str, Rows]:
        """The sets that there are, by "train", "validation" and "test"."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: rows for name, rows in named.items() if rows is not None}
