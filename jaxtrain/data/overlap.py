"""Rows that stand in two sets: what was learnt by heart says nothing of new data.

    for finding in check_overlap({"train": train, "test": test}):
        print(finding.name, finding.detail)      # test overlap with train: 3 of 360 rows (0.8%) ...

A row is its inputs and its label, to the last bit. Each is hashed in integer arithmetic, a few
hundred KiB of rows at a time: 70,000 images of 28x28 take a tenth of a second.

Axis letters: B rows, W words of a row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.dataset_checks import Finding
from jaxtrain.data.rows import Rows

_WORDS_A_CHUNK = 2**18
_WORDS = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
_SUSPICIOUS = 0.5


def check_overlap(sets: Mapping[str, Rows]) -> list[Finding]:
    """Of each two sets in memory, in how far the rows of the second stand in the first.

    A finding is not ok where more than half of the rows do, and it is no wonder of few possible
    rows: among the rows of a small table many are equal anyway. How many one may expect is how many
    of the first set's rows stand in it more than once; so it is not ok where, besides, fewer than
    half as many rows are new as that lets expect.

    Args:
        sets: by name, in the order in which one is asked whether it stands in those before it.
            Rows that are not in memory, and sets whose rows have another form, are passed over.
    """
    hashes = {
        name: row_hashes(rows)
        for name, rows in sets.items()
        if isinstance(rows, Dataset) and _can_be_hashed(rows)
    }
    findings = []
    for first, second in itertools.combinations(hashes, 2):
        known, rows = sets[first], sets[second]
        assert isinstance(known, Dataset)
        assert isinstance(rows, Dataset)
        if _form(known) == _form(rows):
            shared = shared_rows(rows, known, hashes=(hashes[second], hashes[first]))
            findings.append(_finding(second, first, shared, _repeated(hashes[first])))
    return findings


def shared_rows(
    rows: Dataset, known: Dataset, *, hashes: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Which of `rows` stand in `known`, too: `[B]` bool. Both have the same form.

    Args:
        rows: the rows that are asked about.
        known: where they may stand.
        hashes: of `rows` and of `known`, where one has them already.
    """
    own, theirs = hashes or (row_hashes(rows), row_hashes(known))
    order = np.argsort(theirs, kind="stable")
    ordered = theirs[order]
    places = np.minimum(np.searchsorted(ordered, own), len(ordered) - 1)
    candidates = np.flatnonzero(ordered[places] == own)
    partners = order[places[candidates]]
    # Two rows of one hash are all but surely equal; one look makes it sure.
    equal = np.ones(len(candidates), bool)
    for mine, other in ((rows.inputs, known.inputs), (rows.labels, known.labels)):
        width = max(1, math.prod(mine.shape[1:]))
        for start in range(0, len(candidates), max(1, _WORDS_A_CHUNK // width)):
            part = slice(start, start + max(1, _WORDS_A_CHUNK // width))
            same = mine[candidates[part]] == other[partners[part]]
            equal[part] &= same.reshape(len(same), -1).all(axis=1)
    found = np.zeros(len(rows), bool)
    found[candidates] = equal
    return found


def row_hashes(dataset: Dataset) -> np.ndarray:
    """A number a row, `[B]` uint64, that is equal for equal rows, whatever set they stand in."""
    total = np.zeros(len(dataset), np.uint64)
    for number, array in enumerate((dataset.inputs, dataset.labels)):
        words = np.ascontiguousarray(array).view(_WORDS[array.dtype.itemsize])
        words = words.reshape(len(array), math.prod(array.shape[1:]))
        # Philox, since NumPy keeps its bits fixed. An odd factor loses none of a word's bits.
        bits = np.random.Philox(key=np.uint64(number)).random_raw(max(1, words.shape[1]))
        factors = (bits | np.uint64(1))[: words.shape[1]]
        step = max(1, _WORDS_A_CHUNK // max(1, words.shape[1]))
        for start in range(0, len(words), step):
            mixed = words[start : start + step] * factors
            mixed ^= mixed >> np.uint64(32)  # else zeros at the end of each word stay in the sum
            total[start : start + step] += mixed.sum(axis=1, dtype=np.uint64)
    return total


def _can_be_hashed(rows: Dataset) -> bool:
    return all(a.dtype.kind in "biuf" and a.dtype.itemsize in _WORDS for a in rows.arrays.values())


def _form(rows: Dataset) -> list[object]:
    return [(array.dtype, array.shape[1:]) for array in rows.arrays.values()]


def _repeated(hashes: np.ndarray) -> float:
    """The share of rows that stand in their own set more than once."""
    _, counts = np.unique(hashes, return_counts=True)
    return float(counts[counts > 1].sum()) / len(hashes)


def _finding(name: str, other: str, shared: np.ndarray, repeated: float) -> Finding:
    share = float(shared.mean())
    text = f"{int(shared.sum()):,} of {len(shared):,} rows ({share:.1%}) stand in {other}, too"
    ok = share <= _SUSPICIOUS or 1 - share >= (1 - repeated) / 2
    if not ok:
        text += "; figures on rows that were learnt say nothing of new ones: is it the same file?"
    elif share > _SUSPICIOUS:
        text += f", but so do {repeated:.1%} of {other}'s own rows more than once"
    return Finding(f"{name} overlap with {other}", ok, text)
