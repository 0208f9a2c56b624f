"""The arrays of a file, each read once, and which of their rows are which set.

    pairs = find_pairs(archive, told, fitted=False)          # {"train": Pair("x", "y")}
    raw = read_pairs(archive, pairs.values())                # {"x": ..., "y": ...}
    parts = divide(pairs, classes, ...)                      # {"train": Part(pair, rows), ...}

Axis letters: B rows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.keys import find_keys, listed
from jaxtrain.data.memory import refuse_too_much
from jaxtrain.data.stratified import TEST_STREAM, VALIDATION_STREAM, split_by_class
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """The names of two arrays.

    Args:
        inputs: what the model is shown.
        labels: what it is to say of it.
    """

    inputs: str
    labels: str


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of two arrays.

    Args:
        pair: the arrays.
        rows: which of their rows, ascending; None for all.
    """

    pair: Pair
    rows: np.ndarray | None = None

    def of(self, array: np.ndarray) -> np.ndarray:
        """Its rows of one of the arrays: a copy, or the array itself."""
        return array if self.rows is None else array[self.rows]


def find_pairs(
    archive: ArrayFile, told: Mapping[str, str | None], *, fitted: bool
) -> dict[str, Pair]:
    """The arrays of the sets that have labels; what is left over is told of in a line.

    Args:
        archive: the file.
        told: the names that the config says; see `find_keys`.
        fitted: the model is trained, so that the training rows may be gone.

    Raises:
        ConfigError: there are no training rows to be found, or a name is not there.
        DataError: an array that is wanted is broken.
    """
    for name in told.values():
        if name in archive.faults:
            raise DataError(archive.faults[name])
    pairs = {}
    for part, (inputs, labels) in find_keys(archive.heads, told).items():
        if labels is not None:
            pairs[part] = Pair(inputs, labels)
        # Test inputs without labels are there to be predicted: told of below.
        elif part == "train" or told.get(f"{part}_inputs") is not None:
            raise _unclear(archive, f"the labels of {inputs}")
    if "train" not in pairs and not (fitted and pairs):
        raise _unclear(archive, "inputs and labels")
    _refuse_same(archive, pairs)
    for pair in pairs.values():
        _refuse_odd_rows(archive, pair)
    used = {name for pair in pairs.values() for name in (pair.inputs, pair.labels)}
    left_out = [name for name in (*archive.heads, *archive.faults) if name not in used]
    if left_out:
        logger.info("%s: not used: %s", archive.path, ", ".join(left_out))
    return pairs


def read_pairs(archive: ArrayFile, pairs: Collection[Pair]) -> dict[str, np.ndarray]:
    """The arrays of the pairs, each once.

    Raises:
        ConfigError: with their inputs in float32 they need more than half of the memory.
        DataError: one is broken.
    """
    inputs = {pair.inputs: archive.heads[pair.inputs] for pair in pairs}
    names = dict.fromkeys(name for pair in pairs for name in (pair.inputs, pair.labels))
    refuse_too_much(
        sum(archive.heads[n].nbytes for n in names) + sum(4 * h.count for h in inputs.values()),
        what=f"{archive.path}: " + ", ".join(f"{name} {archive.heads[name]}" for name in names),
        remedy="have fewer rows, or a source of your own with a GrainLoader, which reads rows as "
        "they are wanted",
    )
    return {name: archive.read(name) for name in names}


def divide(
    pairs: Mapping[str, Pair],
    classes: np.ndarray,
    *,
    validation_fraction: float,
    seed: int,
    test_fraction: float,
    split_seed: int,
) -> dict[str, Part]:
    """The sets; those that the file lacks are drawn from the training rows.

    Args:
        pairs: the arrays of the sets that the file has.
        classes: `[B]` of the training rows, all the same of a regression.
        validation_fraction: the share of the training rows to hold out for validation.
        seed: draws them.
        test_fraction: the share of all rows that makes the test set.
        split_seed: draws them.
    """
    parts = {name: Part(pair) for name, pair in pairs.items()}
    if "train" not in pairs:
        return parts
    pair, rows = pairs["train"], np.arange(len(classes), dtype=np.int32)
    if "test" not in parts:
        kept, held_out = split_by_class(classes, test_fraction, split_seed, stream=TEST_STREAM)
        parts |= {"train": Part(pair, kept), "test": Part(pair, held_out)}
        rows = kept
    if "validation" not in parts and validation_fraction:
        kept, held_out = split_by_class(
            classes[rows], validation_fraction, seed, stream=VALIDATION_STREAM
        )
        parts |= {"train": Part(pair, rows[kept]), "validation": Part(pair, rows[held_out])}
    return parts


def _unclear(archive: ArrayFile, missing: str) -> ConfigError:
    return ConfigError(
        f"{archive.path}: which arrays are {missing}? Name them, as data.inputs=x, data.labels=y "
        f"(and data.test_inputs, data.test_labels); the file has {listed(archive.heads)}"
        + "".join(f"\n  {fault}" for fault in archive.faults.values())
    )


def _refuse_same(archive: ArrayFile, pairs: Mapping[str, Pair]) -> None:
    seen: dict[str, str] = {}
    for part, pair in pairs.items():
        other = seen.setdefault(pair.inputs, part)
        if other != part:
            raise ConfigError(
                f"{archive.path}: {pair.inputs} are the inputs of the {other} and of the {part} "
                "set; a model must not be judged by what it has learnt"
            )


def _refuse_odd_rows(archive: ArrayFile, pair: Pair) -> None:
    inputs, labels = archive.heads[pair.inputs], archive.heads[pair.labels]
    fits = inputs.shape and labels.shape and inputs.shape[0] == labels.shape[0]
    if not (fits and inputs.count and labels.count):
        raise DataError(
            f"{archive.path}: expected a label for each row, found {pair.inputs} {inputs} and "
            f"{pair.labels} {labels}"
        )
