"""New inputs from a file of arrays, for a model whose source has no reader of its own.

rows = read_inputs(Path("new.npy"), experiment.data.example())
rows.inputs                                              # as the model takes them
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.floats import as_float32
from jaxtrain.data.arrays.keys import find_keys, listed
from jaxtrain.data.reader import NewRows
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


def new_arrays(archive: ArrayFile, told: Mapping[str, str | None]) -> tuple[str, str | None]:
    """The names of the inputs and labels in a file of new rows.

    Those that the config has told where they are there; else the only array, or what is called as
    inputs mostly are (of a file with several sets, those of the test set).

    Args:
        archive: the file.
        told: names by "inputs" and "labels".

    Raises:
        ConfigError: it can't be known.
        DataError: the array is broken.
    """
    heads = archive.heads
    there = {role: name for role, name in told.items() if name is not None and name in heads}
    inputs, labels = there.get("inputs"), there.get("labels")
    if inputs is None and len(heads) == 1:
        inputs = next(iter(heads))
    if inputs is None:
        pairs = find_keys(heads, there)
        if {"train", "test"} <= pairs.keys() or not pairs:
            names = pairs.get("test")
        else:
            names = next(iter(pairs.values()))
        if names is None:
            raise ConfigError(
                f"{archive.path}: which array are the inputs? Call them 'inputs' and the labels, "
                f"if there are any, 'labels'; the file has {listed(heads)}"
                + "".join(f"\n  {fault}" for fault in archive.faults.values())
            )
        inputs, labels = names
    elif labels is None and (pair := find_keys(heads, {"inputs": inputs}).get("train")):
        labels = pair[1]
    left_out = [name for name in (*heads, *archive.faults) if name not in (inputs, labels)]
    if left_out:
        logger.info("%s: read are %s, not %s", archive.path, inputs, ", ".join(left_out))
    return inputs, labels


def read_inputs(path: Path, example: Mapping[str, Any]) -> NewRows:
    """The inputs in a `.npz` or `.npy` file, as they are, where they fit a model.

    Numbers with a point may have another precision than the model's; nothing is scaled, since
    nobody knows here how. Labels in the file are not read.

    Args:
        path: the file; of several arrays the one called `inputs`, or as inputs mostly are.
        example: what a batch of the model looks like: `shape` and `dtype` by name.

    Raises:
        DataNotFoundError: there is nothing at `path`.
        ConfigError: the inputs have another shape or type, or can't be told apart.
        DataError: the file is broken.
    """
    if "inputs" not in example:
        raise ConfigError(
            f"{path}: the model's batches have no 'inputs' (they have {', '.join(example)}); a "
            "source of one's own registers a reader in READERS"
        )
    shape, dtype = tuple(example["inputs"].shape[1:]), np.dtype(example["inputs"].dtype)
    archive = ArrayFile(path)
    inputs, labels = new_arrays(archive, {"inputs": "inputs"})
    place, head = f"{path}: {inputs}", archive.heads[inputs]
    if head.shape[1:] != shape or not head.shape:
        one = "; one row alone is saved as x[None]" if head.shape == shape else ""
        raise ConfigError(
            f"{place}: expected rows of shape {list(shape)}, as the model takes them, found an "
            f"array of shape {list(head.shape)}{one}"
        )
    floats = head.dtype.kind == dtype.kind == "f"
    if not floats and not (head.dtype.kind in "iu" and dtype.kind in "iu"):
        raise ConfigError(
            f"{place}: expected {dtype}, as the model takes its inputs, found {head.dtype.name}; "
            "bring them to the scale of the training inputs, and save them as that"
        )
    if labels is not None:
        logger.info("%s: %s are not read: without a reader nobody knows their scale", path, labels)
    raw = archive.read(inputs)
    values = as_float32(raw, name=place) if floats else _as_integers(raw, dtype, place)
    return NewRows(values, ids={"index": range(len(values))})


def _as_integers(raw: np.ndarray, dtype: np.dtype, place: str) -> np.ndarray:
    bounds = np.iinfo(dtype)
    low, high = int(raw.min()), int(raw.max())
    if low < bounds.min or high > bounds.max:
        raise DataError(f"{place}: from {low} to {high}, more than {dtype} holds")
    return raw.astype(dtype)
