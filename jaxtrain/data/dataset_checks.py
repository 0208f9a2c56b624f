"""Look at a data set before training on it.

    for finding in check_dataset(splits.train):
        print("ok  " if finding.ok else "FAIL", finding.name, finding.detail)

Every check runs, whatever the others found. Axis letters: B rows, D columns of a target, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxtrain.data.dataset import Dataset


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


def check_dataset(dataset: Dataset) -> list[Finding]:
    """Shapes, dtypes, finite values, and for classification the label range and class balance."""
    findings = [_shapes(dataset), _dtypes(dataset), _finite("inputs", dataset.inputs)]
    if dataset.task == "regression":
        return [*findings, _finite("labels", dataset.labels)]
    return [*findings, _label_range(dataset), _class_balance(dataset)]


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


def _label_range(dataset: Dataset) -> Finding:
    labels, top = dataset.labels, dataset.num_outputs - 1
    wrong = np.flatnonzero((labels.reshape(-1) < 0) | (labels.reshape(-1) > top))
    if wrong.size == 0:
        return Finding("label range", True, f"labels from {labels.min()} to {labels.max()}")
    first = int(wrong[0])
    return Finding(
        "label range",
        False,
        f"{wrong.size:,} labels are out of range, the first in row {first}: "
        f"{labels.reshape(-1)[first]}; allowed are 0 to {top}",
    )


def _class_balance(dataset: Dataset) -> Finding:
    labels = dataset.labels.reshape(-1)
    known = labels[(labels >= 0) & (labels < dataset.num_outputs)].astype(np.int64)
    counts = np.bincount(known, minlength=dataset.num_outputs)
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
