"""Look at a data set before training on it.

    for finding in check_dataset(splits.train):
        print("ok  " if finding.ok else "FAIL", finding.name, finding.detail)

Every check runs, whatever the others found. Of rows that are not in memory it looks at the first
ones. Axis letters: B rows, D columns of a target, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxtrain.batch import MASK, ROW_MASK, has_rows
from jaxtrain.data.class_counts import class_counts
from jaxtrain.data.dataset import Dataset
from jaxtrain.data.loader import closing
from jaxtrain.data.rows import Rows

_SAMPLE = 64  # rows


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        name: which check.
        ok: whether the data passed.
        detail: what was found, and what is expected where it did not pass.
    """

    name: str
    ok: bool
    detail: str


def check_dataset(rows: Rows, *, ignore_label: int | None = None) -> list[Finding]:
    """Shapes, dtypes, finite values, and of classes the range of the labels and their balance.

    Of what is not a `Dataset` the first 64 rows are looked at, where they lie: for finite values
    and for the label range, whatever the shapes.

    Args:
        rows: a `Dataset`, or others.
        ignore_label: the class that the loss leaves out, and which may be out of range.
    """
    if not isinstance(rows, Dataset):
        return _check_first_rows(rows, ignore_label)
    findings = [_shapes(rows), _dtypes(rows), _finite("inputs", rows.inputs)]
    if rows.task == "regression":
        return [*findings, _finite("labels", rows.labels)]
    counts = np.ones(rows.labels.shape, bool)
    if ignore_label is not None:
        counts = rows.labels != ignore_label
    return [*findings, _label_range(rows, rows.labels, counts), _class_balance(rows)]


def _check_first_rows(rows: Rows, ignore_label: int | None) -> list[Finding]:
    size = min(_SAMPLE, len(rows))
    batches = rows.loader(batch_size=size, shuffle=False, seed=0, last_batch="pad").batches()
    with closing(batches):
        batch = {name: np.asarray(array) for name, array in next(batches)[0].items()}
    good = np.flatnonzero(batch.pop(ROW_MASK, np.ones(size)))
    batch = {name: array[good] if has_rows(array, size) else array for name, array in batch.items()}
    kinds = ", ".join(f"{name} {a.dtype}{list(a.shape)}" for name, a in sorted(batch.items()))
    findings = [Finding("shapes", True, kinds)]
    findings += [_finite(name, array) for name, array in batch.items()]
    labels = batch.get("labels")
    if rows.task != "regression" and labels is not None and labels.dtype.kind in "iu":
        counts = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
        mask = batch.get(MASK)
        if mask is not None and mask.shape == labels.shape:
            counts &= mask > 0
        findings.append(_label_range(rows, labels, counts))
    return [Finding(f.name, f.ok, f"the first {len(good)} rows: {f.detail}") for f in findings]


def _shapes(dataset: Dataset) -> Finding:
    inputs, labels = dataset.inputs.shape, dataset.labels.shape
    found = f"inputs {list(inputs)}, labels {list(labels)}"
    if len(inputs) < 2 or 0 in inputs:
        return Finding("shapes", False, f"{found}; expected inputs [B, ...] with features")
    allowed = [[inputs[0]]]
    if dataset.task == "regression":
        column = [inputs[0], dataset.num_outputs]
        allowed = [*allowed, column] if dataset.num_outputs == 1 else [column]
    right = list(labels) in allowed
    wanted = " or ".join(map(str, allowed))
    return Finding("shapes", right, found if right else f"{found}; expected labels {wanted}")


def _dtypes(dataset: Dataset) -> Finding:
    wanted = np.dtype(np.int32 if dataset.task == "classification" else np.float32)
    found = f"inputs {dataset.inputs.dtype}, labels {dataset.labels.dtype}"
    right = dataset.inputs.dtype in (np.float32, np.int32) and dataset.labels.dtype == wanted
    if right:
        return Finding("dtypes", True, found)
    return Finding(
        "dtypes",
        False,
        f"{found}; expected inputs float32 (or int32 tokens), labels {wanted}: convert with astype",
    )


def _finite(name: str, array: np.ndarray) -> Finding:
    if array.dtype.kind != "f" or array.size == 0:
        return Finding(f"finite {name}", True, f"{array.dtype} values are always finite")
    # NaN goes through min and max, infinity is one of them: no array of booleans is needed.
    low, high = float(array.min()), float(array.max())
    if np.isfinite(low) and np.isfinite(high):
        return Finding(f"finite {name}", True, f"values from {low:.4g} to {high:.4g}")
    bad = ~np.isfinite(array)
    place = tuple(int(axis) for axis in np.unravel_index(int(bad.argmax()), array.shape))
    return Finding(
        f"finite {name}",
        False,
        f"{int(bad.sum()):,} values are NaN or Inf, the first in row {place[0]}: "
        f"{name}{list(place)} is {array[place]}",
    )


def _label_range(rows: Rows, labels: np.ndarray, counts: np.ndarray) -> Finding:
    """Whether those of the labels `[B, ...]` that count are classes."""
    top = rows.num_outputs - 1
    wrong = np.argwhere(counts & ((labels < 0) | (labels > top)))
    if len(wrong) == 0:
        counted = labels[counts]
        found = f"labels from {counted.min()} to {counted.max()}" if counted.size else "no labels"
        return Finding("label range", True, found)
    first = tuple(wrong[0])
    return Finding(
        "label range",
        False,
        f"{len(wrong):,} labels are out of range, the first in row {first[0]}: "
        f"{labels[first]}; allowed are 0 to {top}",
    )


def _class_balance(dataset: Dataset) -> Finding:
    labels, counts = dataset.labels.reshape(-1), np.array(class_counts(dataset))
    absent = np.flatnonzero(counts == 0)
    least, most = int(counts.argmin()), int(counts.argmax())
    shares = (
        f"{dataset.num_outputs} classes, the rarest ({_class(dataset, least)}) "
        f"{counts[least] / len(labels):.1%}, the most frequent ({_class(dataset, most)}) "
        f"{counts[most] / len(labels):.1%} of {len(labels):,} rows"
    )
    if absent.size == 0:
        return Finding("class balance", True, shares)
    names = ", ".join(_class(dataset, int(index)) for index in absent[:10])
    more = f" and {absent.size - 10} more" if absent.size > 10 else ""
    return Finding("class balance", False, f"no row of class {names}{more}; {shares}")


def _class(dataset: Dataset, index: int) -> str:
    return f"{index} {dataset.label_names[index]!r}" if dataset.label_names else str(index)
