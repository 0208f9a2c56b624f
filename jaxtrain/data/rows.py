"""Rows: what a data source hands over, in memory or not.

    make = functools.partial(GrainLoader, records, workers=4, fingerprint="birds, version 2")
    rows = LoaderRows(make, num_outputs=200)
    loader = rows.loader(batch_size=64, shuffle=True, seed=0, last_batch="pad")

A `Dataset` is asked in the same way, so that a run over arrays and one over records are made alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Literal, Protocol, get_args, runtime_checkable

from jaxtrain.data.epoch_order import LastBatch
from jaxtrain.data.loader import Loader
from jaxtrain.errors import ConfigError, DataError

Task = Literal["classification", "regression", "language"]
LabelTask = Literal["classification", "regression"]
"""What can be learnt of rows that have a label each."""


@runtime_checkable
class Rows(Protocol):
    """Rows of one kind, and what can be learnt from them. See `Dataset` and `LoaderRows`."""

    @property
    def name(self) -> str:
        """What messages call them."""
        ...

    @property
    def task(self) -> Task:
        """What there is to learn."""
        ...

    @property
    def num_outputs(self) -> int:
        """Classes, columns of the target, or the vocabulary: what the model must put out."""
        ...

    @property
    def label_names(self) -> tuple[str, ...]:
        """The name of each class, where they have names."""
        ...

    def __len__(self) -> int:
        """How many rows."""
        ...

    def fingerprint(self) -> str:
        """Says which data these are, whatever the order."""
        ...

    def loader(self, *, batch_size: int, shuffle: bool, seed: int, last_batch: LastBatch) -> Loader:
        """Their batches."""
        ...


@runtime_checkable
class StreamedRows(Rows, Protocol):
    """Rows that can be read as they are wanted, in processes if there are to be `workers`."""

    def stream(
        self, *, batch_size: int, shuffle: bool, seed: int, last_batch: LastBatch, workers: int
    ) -> Loader:
        """The batches that `loader` gives, none of them read before its time."""
        ...


@dataclass(frozen=True, eq=False)
class LoaderRows:
    """Rows that are not in memory: a way to make loaders of them, and what can be learnt.

    Args:
        make: is given `batch_size`, `shuffle`, `seed` and `last_batch` by name, and makes a
            `Loader` of them.
        name: what messages call them.
        task: "classification", "regression" or "language".
        num_outputs: the classes, or the columns of the target: what the model must put out.
        label_names: the name of each class, where they have names.

    Raises:
        DataError: an unknown task, or an impossible `num_outputs`.
    """

    make: Callable[..., Loader] = field(repr=False)
    _: KW_ONLY
    name: str = "records"
    task: Task = "classification"
    num_outputs: int = 1
    label_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_impossible(self)

    def __len__(self) -> int:
        return self._single.steps_per_epoch

    def fingerprint(self) -> str:
        """That of a loader of single rows in their own order."""
        return self._single.fingerprint()

    def loader(
        self, *, batch_size: int, shuffle: bool = True, seed: int = 0, last_batch: LastBatch = "pad"
    ) -> Loader:
        """What `make` makes.

        Raises:
            ConfigError: it is no `Loader`, or one of another batch size.
        """
        made = self.make(batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch)
        if not isinstance(made, Loader):
            raise ConfigError(
                f"{self.name}: expected `make` to return a Loader, found a {type(made).__name__}"
            )
        if made.batch_size != batch_size:
            raise ConfigError(
                f"{self.name}: asked for batches of {batch_size} rows, found a loader whose "
                f"batches have {made.batch_size}; hand on all of what `make` is given"
            )
        return made

    @cached_property
    def _single(self) -> Loader:
        return self.loader(batch_size=1, shuffle=False)


def refuse_impossible(rows: Rows) -> None:
    """Raises a `DataError` where a description of rows contradicts itself."""
    if rows.task not in get_args(Task):
        known = " or ".join(map(repr, get_args(Task)))
        raise DataError(f"{rows.name}: task must be {known}, found {rows.task!r}")
    if rows.num_outputs < 1:
        raise DataError(f"{rows.name}: num_outputs must be 1 or more, found {rows.num_outputs}")
    if len(set(rows.label_names)) < len(rows.label_names):
        raise DataError(f"{rows.name}: two classes have one name: {', '.join(rows.label_names)}")
    if rows.label_names and len(rows.label_names) != rows.num_outputs:
        raise DataError(
            f"{rows.name}: expected {rows.num_outputs} label names, found {len(rows.label_names)}"
        )
