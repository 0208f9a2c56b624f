"""Which documents are for training, validation and test.

divide(documents, sets={}, validation_fraction=0.1, seed=0, test_fraction=0.1, split_seed=0)
# {"train": ..., "validation": ..., "test": ...}

Of several documents they are drawn by seed. One long text is cut: training first, then validation,
then the test at its end, so that nothing that is asked has been read on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from jaxtrain.data.stratified import TEST_STREAM, VALIDATION_STREAM, split_by_class
from jaxtrain.data.text.documents import RecordDocuments, TextDocuments
from jaxtrain.errors import ConfigError

Own = TypeVar("Own", TextDocuments, RecordDocuments)

_LEAST = 2  # characters: one, and the next


def divide(
    documents: Own,
    sets: Mapping[str, Own],
    *,
    validation_fraction: float,
    seed: int,
    test_fraction: float,
    split_seed: int,
) -> dict[str, Own]:
    """The sets that have documents of their own, and the others out of `documents`.

    Args:
        documents: those of the training, and of what has none of its own.
        sets: "validation" and "test", where they have their own.
        validation_fraction: the share that is for validation.
        seed: draws it.
        test_fraction: the share that is for the test.
        split_seed: draws it.

    Raises:
        ConfigError: one of them would be empty.
    """
    test = 0.0 if "test" in sets else test_fraction
    validation = 0.0 if "validation" in sets else validation_fraction
    if not test and not validation:
        return {"train": documents, **sets}
    count = documents.count()
    found: dict[str, Own]
    if count == 1 and isinstance(documents, TextDocuments):
        found = _stretches(documents, validation, test)
    else:
        left = np.arange(count)
        found = {}
        for name, share, drawn_by, stream in (
            ("test", test, split_seed, TEST_STREAM),
            ("validation", validation, seed, VALIDATION_STREAM),
        ):
            if share:
                kept, held_out = split_by_class(
                    np.zeros(len(left), np.int32), share, drawn_by, stream=stream
                )
                found[name] = documents.selected(np.isin(np.arange(count), left[held_out]))
                left = left[kept]
        found["train"] = documents.selected(np.isin(np.arange(count), left))
    order = [name for name in ("train", "validation", "test") if name in found or name in sets]
    return {name: found[name] if name in found else sets[name] for name in order}


def _stretches(text: TextDocuments, validation: float, test: float) -> dict[str, TextDocuments]:
    stop = total = text.length()
    found: dict[str, TextDocuments] = {}
    sizes = []
    for name, share in (("test", test), ("validation", validation)):
        if share:
            sizes.append(round(total * share))
            found[name] = text.stretch(stop - sizes[-1], stop)
            stop -= sizes[-1]
    if min(stop, *sizes) < _LEAST:
        raise ConfigError(
            f"one text of {total} characters: shares of {validation} for validation and {test} for "
            "the test leave nothing of one of its parts; give a longer text, or a file for each"
        )
    return {"train": text.stretch(0, stop), **found}
