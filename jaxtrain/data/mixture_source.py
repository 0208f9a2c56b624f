"""Several sources as one: rows of others among those of the first.

    data: {name: mixture, share: 0.2, parts: {own: {name: text, path: b.txt},
                                              earlier: {name: text, path: a.txt}}}

What a model has learnt before it forgets less of where it sees some of it again. Validation and
test rows are those of the first part alone, so that a figure means what it meant without the
others. Without a share all parts count alike: all rows of each, of all three sets.

Axis letters: R rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import pydantic

from jaxtrain.config.fields import typed
from jaxtrain.config.schema import DataSection
from jaxtrain.data.array_loader import ArrayLoader
from jaxtrain.data.epoch_order import LastBatch
from jaxtrain.data.reader import READERS, Reader
from jaxtrain.data.rows import Rows, Task
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError, OptionsError

Share = Annotated[float, pydantic.Field(gt=0, lt=1)]


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows of several sets, in memory.

    Args:
        first: all rows of it.
        others: of each the rows at some numbers.
    """

    first: Rows
    others: tuple[tuple[Rows, np.ndarray], ...]

    def __len__(self) -> int:
        return len(self.first) + sum(len(chosen) for _, chosen in self.others)

    @property
    def name(self) -> str:
        """That of all of them."""
        return " + ".join([self.first.name, *(rows.name for rows, _ in self.others)])

    @property
    def task(self) -> Task:
        """What all of them are for."""
        return self.first.task

    @property
    def num_outputs(self) -> int:
        """What the model must put out."""
        return self.first.num_outputs

    @property
    def label_names(self) -> tuple[str, ...]:
        """The name of each class."""
        return self.first.label_names

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """By name, `[R, ...]`; put together when they are first asked for."""
        parts = [_arrays(self.first), *(_take(rows, chosen) for rows, chosen in self.others)]
        names = dict.fromkeys(name for part in parts for name in part)
        parts = [_completed(part, list(names)) for part in parts]
        made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for array in made.values():
            array.flags.writeable = False
        return made

    @property
    def labels(self) -> np.ndarray:
        """`[R]`, or `[R, L]` of text."""
        return self.arrays["labels"]

    def fingerprint(self) -> str:
        """Of all of them, and of which rows were drawn."""
        digest = hashlib.sha256(self.first.fingerprint().encode())
        for rows, chosen in self.others:
            digest.update(rows.fingerprint().encode())
            digest.update(np.asarray(chosen, np.int64).tobytes())
        return digest.hexdigest()

    def loader(
        self, *, batch_size: int, shuffle: bool = True, seed: int = 0, last_batch: LastBatch = "pad"
    ) -> ArrayLoader:
        """Their batches."""
        return ArrayLoader(
            self, batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch
        )


def check_parts(options: Mapping[str, Any]) -> dict[str, Any]:
    """See that each part is a source with options that it has, when a config is checked.

    Raises:
        OptionsError: it is not so; by the key of the part.
    """
    parts = options.get("parts")
    if isinstance(parts, Mapping):
        wrong = {}
        for name, part in parts.items():
            try:
                section_of(name, part)
            except ConfigError as error:
                wrong["parts"] = str(error)
        if len(parts) < 2:
            wrong["parts"] = f"expected two sources at least, found {len(parts)}"
        if wrong:
            raise OptionsError(wrong)
    return {}


@SOURCES.register("mixture", complete=check_parts)
def mixture(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    parts: dict[str, Any],
    share: Share | None = None,
) -> Splits:
    """All training rows of one source, and some of others among them, or all of those, too.

    Args:
        validation_fraction: of each part's training rows.
        seed: draws validation rows, and the rows of the other parts.
        fitted: what the reader of a trained model says of itself; all parts have the same one.
        parts: sections like `data`, by names of your choice. The first gives all of its training
            rows, its validation rows and its test rows; the others training rows alone.
        share: how much of the training rows is to be of the others, of each equally much; less
            where they have no more.

    Raises:
        ConfigError: the parts are of different kinds, have different readers (tokenizers, say), or
            mean other classes, or other values, by the same labels; or one can't be read.
        DataError: one is broken.
    """
    made: dict[str, Splits] = {}
    for name, part in parts.items():
        section = section_of(name, part)
        try:
            made[name] = SOURCES.build(
                section, validation_fraction=validation_fraction, seed=seed, fitted=fitted
            )
        except (ConfigError, DataError) as error:
            kinds = (DataNotFoundError, ConfigError, DataError)
            kind = next(kind for kind in kinds if isinstance(error, kind))
            raise kind(f"data.parts.{name}: {error}") from error
    (own, first), *others = made.items()
    for name, splits in others:
        _refuse_another_reader(own, first, name, splits)
        for part in ("train", "validation", "test") if share is None else ("train",):
            if part in first.sets and part in splits.sets:
                _refuse_another_kind(own, first.sets[part], name, splits.sets[part])
    if share is None:
        return _whole(first, [splits for _, splits in others])
    if first.train is None:
        return first
    wanted = share / (1 - share) * len(first.train) / max(len(others), 1)
    drawn = tuple(
        (splits.train, _draw(len(splits.train), round(wanted), seed, number))
        for number, (_, splits) in enumerate(others)
        if splits.train is not None
    )
    return Splits(
        train=MixedRows(first.train, drawn),
        validation=first.validation,
        test=first.test,
        reader=first.reader,
        target_scale=first.target_scale,
    )


@READERS.register("mixture")
def mixture_reader(state: Mapping[str, Any], *, parts: dict[str, Any]) -> Reader:
    """The reader of the first part, from what it said of itself."""
    name, part = next(iter(parts.items()))
    reader: Reader = READERS.build(section_of(name, part), state=state)
    return reader


def section_of(name: str, part: Any) -> DataSection:
    """A part as a checked section.

    Raises:
        ConfigError: what is wrong with it.
    """
    where = f"data.parts.{name}"
    if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
        raise ConfigError(f"{where}: expected a section with the `name` of a source, found {part}")
    schema = SOURCES.schema(part["name"], DataSection)
    fields = schema.model_fields
    values = {
        key: typed(tuple(value) if isinstance(value, list) else value, fields[key].annotation)
        if key in fields
        else value
        for key, value in part.items()
    }
    try:
        return schema.model_validate(SOURCES.complete(part["name"], values))
    except pydantic.ValidationError as error:
        lines = [
            f"{'.'.join([where, *map(str, one['loc'])])}: {one['msg']}" for one in error.errors()
        ]
        raise ConfigError("; ".join(lines)) from None


def _whole(first: Splits, others: Sequence[Splits]) -> Splits:
    """All rows of all parts, set by set."""
    mixed: dict[str, Rows | None] = {}
    for part in ("train", "validation", "test"):
        found = [splits.sets[part] for splits in (first, *others) if part in splits.sets]
        # Without one of its files it is not the training set; validation rows need not be of all.
        if not found or (part == "train" and len(found) <= len(others)):
            mixed[part] = None
            continue
        rest = tuple((rows, np.arange(len(rows))) for rows in found[1:])
        mixed[part] = MixedRows(found[0], rest)
    return Splits(**mixed, reader=first.reader, target_scale=first.target_scale)


def _refuse_another_reader(own: str, first: Splits, name: str, other: Splits) -> None:
    _refuse_other_labels(own, first, name, other)  # says more than that the readers differ
    states = [None if s.reader is None else dict(s.reader.state()) for s in (first, other)]
    if states[0] != states[1]:
        raise ConfigError(
            f"data.parts.{name}: is read in another way than {own}, by another tokenizer, say; "
            "rows of one model are read in one way"
        )


def _refuse_another_kind(own: str, first: Rows, name: str, other: Rows) -> None:
    kinds = [(rows.task, rows.num_outputs) for rows in (first, other)]
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f"data.parts.{name}: expected a {kinds[0][0]} with {kinds[0][1]} outputs as {own}, "
            f"found a {kinds[1][0]} with {kinds[1][1]}"
        )
    both = [_arrays(rows) for rows in (first, other)]
    names = list({**both[0], **both[1]})
    forms = [
        {key: (array.shape[1:], str(array.dtype)) for key, array in _completed(one, names).items()}
        for one in both
    ]
    if forms[0] != forms[1]:
        raise ConfigError(
            f"data.parts.{name}: expected rows of {forms[0]} as {own}, found {forms[1]}; take the "
            "same length"
        )


def _refuse_other_labels(own: str, first: Splits, name: str, other: Splits) -> None:
    """A label is a number: of other classes, or of another scale, it would mean something else."""
    if first.train is None or other.train is None or first.train.task != other.train.task:
        return
    names = [list(rows.label_names) for rows in (first.train, other.train)]
    if names[0] != names[1]:
        raise ConfigError(
            f"data.parts.{name}: expected the classes {names[0]}, in this order, as {own}, found "
            f"{names[1]}; the same label would mean two of them. Take parts of the same classes, "
            "and name them in one order"
        )
    scales = [splits.target_scale for splits in (first, other)]
    if scales[0] != scales[1]:
        told = ["none" if scale is None else str(scale.to_json()) for scale in scales]
        raise ConfigError(
            f"data.parts.{name}: expected a target of the scale {told[0]} as {own}, found "
            f"{told[1]}; the same label would mean two values. Take parts whose targets stay in "
            "their unit"
        )


def _arrays(rows: Rows) -> dict[str, np.ndarray]:
    arrays = getattr(rows, "arrays", None)
    if not isinstance(arrays, Mapping):
        raise ConfigError(
            f"{rows.name}: a mixture wants rows in memory, found a {type(rows).__name__}"
        )
    return dict(arrays)


def _completed(arrays: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """With what rows of text leave out where it says nothing: one document a row.

    >>> given = {"labels": np.zeros((1, 3), np.int32)}
    >>> found = _completed(given, ["labels", "segments", "positions"])
    >>> found["segments"].tolist(), found["positions"].tolist()
    ([[1, 1, 1]], [[0, 1, 2]])
    """
    found = dict(arrays)
    labels = found.get("labels")
    for name in names:
        if name in found or labels is None or labels.ndim != 2:
            continue
        if name == "segments":
            found[name] = np.ones(labels.shape, np.int32)
        elif name == "positions":
            places = np.arange(labels.shape[1], dtype=np.int32)
            found[name] = np.broadcast_to(places, labels.shape)
    return {name: found[name] for name in names if name in found}


def _take(rows: Rows, chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[chosen] for name, array in _arrays(rows).items()}


def _draw(rows: int, wanted: int, seed: int, number: int) -> np.ndarray:
    """Which rows of the part with this number, in their own order."""
    rng = np.random.default_rng([seed, number])
    return np.sort(rng.permutation(rows)[: max(1, min(wanted, rows))])
