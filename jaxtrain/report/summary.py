"""metrics.json: what came out of a run, in one small file.

    write_summary(run_directory / "metrics.json", history.epochs,
                  training_time_seconds=history.seconds, test={"loss": 0.09, "accuracy": 0.973})
    read_summary(run_directory / "metrics.json")

| field                   | meaning                                                              |
|-------------------------|----------------------------------------------------------------------|
| `final_train_loss`      | `train/loss` of the last epoch, its mean over the epoch's examples   |
| `final_train_accuracy`  | `train/accuracy` of the last epoch                                   |
| `final_val_loss`        | `val/loss` of the last epoch that was validated                      |
| `final_val_accuracy`    | `val/accuracy` of the last epoch that was validated                  |
| `best_val_loss`         | the smallest `val/loss` of all epochs                                |
| `best_val_accuracy`     | the largest `val/accuracy` of all epochs                             |
| `final_…`, `best_val_…` | the same of every other metric; the best R² is the largest           |
| `monitor`               | the metric by which the best epoch, and its checkpoint, was chosen   |
| `best_epoch`            | that epoch, counted from 1                                           |
| `total_epochs`          | epochs completed                                                     |
| `total_steps`           | steps taken in them                                                  |
| `training_time_seconds` | wall-clock seconds of training and validation, restarts included     |
| `parameters`            | numbers the model is trained by, where given                         |
| `test_<metric>`         | each metric of the test set, where given; a matrix as lists of rows  |
| `checkpoint_epoch`      | the epoch of the checkpoint that the test figures belong to          |

What a run does not have (accuracy in a regression, `val/` without a validation set) is null, and so
is what is not finite.
"""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.errors import DataError
from jaxtrain.files.atomic import replacing
from jaxtrain.metrics import Mode, better, rank
from jaxtrain.report.epochs import Epochs, best, column

# A row of a matrix, which `json` would give a line a number.
_ROW = re.compile(r"\[[^][{}]*\]")


def summarize(
    epochs: Epochs,
    *,
    training_time_seconds: float,
    monitor: str = "val/loss",
    mode: Mode = "auto",
    parameters: int | None = None,
    test: Mapping[str, Any] | None = None,
    checkpoint_epoch: int | None = None,
) -> dict[str, Any]:
    """The fields of metrics.json, in the order of the table above.

    Args:
        epochs: one row an epoch (`hooks.History.epochs`).
        training_time_seconds: of all the processes that worked on the run.
        monitor: the metric by which the best epoch is chosen.
        mode: "min" where a smaller value of it is better, "max" where a larger is, "auto" to go
            by its name.
        parameters: how many numbers are trained.
        test: metrics of the test set, by their bare names; arrays become nested lists.
        checkpoint_epoch: the epoch whose checkpoint was tested.
    """
    best_row = best(epochs, monitor, mode)
    names = _bare_names(epochs)
    fields = {
        **{f"final_train_{name}": _last(epochs, f"train/{name}") for name in names},
        **{f"final_val_{name}": _last(epochs, f"val/{name}") for name in names},
        **{f"best_val_{name}": _best(epochs, f"val/{name}") for name in names},
        "monitor": monitor,
        "best_epoch": None if best_row is None else best_row["epoch"],
        "total_epochs": len(epochs),
        "total_steps": epochs[-1]["iteration"] if epochs else 0,
        "training_time_seconds": round(training_time_seconds, 3),
        "parameters": parameters,
        "checkpoint_epoch": checkpoint_epoch,
        **{f"test_{name}": value for name, value in (test or {}).items()},
    }
    return {name: _finite(value) for name, value in fields.items()}


def write_summary(path: str | os.PathLike[str], epochs: Epochs, **options: Any) -> dict[str, Any]:
    """Write `summarize(epochs, **options)` to `path`, whole or not at all, and return it."""
    fields = summarize(epochs, **options)
    with replacing(path) as temporary:
        text = json.dumps(fields, indent=2, allow_nan=False)
        temporary.write_text(_ROW.sub(lambda row: " ".join(row[0].split()), text) + "\n")
    return fields


def read_summary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `write_summary` wrote.

    Raises:
        DataError: the file is torn, or was changed to something else.
    """
    try:
        fields = json.loads(Path(path).read_bytes(), parse_constant=_refuse_constant)
        expected = summarize([], training_time_seconds=0.0)
        if not isinstance(fields, dict):
            raise ValueError(f"expected an object, found a {type(fields).__name__}")
        for name in expected:
            if name not in fields:
                raise ValueError(f"{name} is missing")
        for name, value in fields.items():
            fits = isinstance(value, str) if name == "monitor" else _is_figure(name, value)
            if not fits:
                raise ValueError(f"{name!a} is {reprlib.repr(value)}")
        "".join(fields).encode()  # half a character could not be shown
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: can't be read as a report: {error}") from None
    return fields


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_figure(name: str, value: Any) -> bool:
    """Whether it can stand under that name: a number or null, or of the test set lists of them."""
    if isinstance(value, list):
        return name.startswith("test_") and all(_is_figure(name, item) for item in value)
    known = isinstance(value, int | float | None) and not isinstance(value, bool)
    return known and not _is_beyond(value)


def _is_beyond(value: Any) -> bool:
    """Whether it is a number that was never written: infinite, or with no room in a float."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) >= 2**63


def _bare_names(epochs: Epochs) -> list[str]:
    """Loss and accuracy, which programs look for in every run, then what else there is."""
    keys = (key.partition("/") for row in epochs for key in row)
    found = (name for group, _, name in keys if group in ("train", "val"))
    return list(dict.fromkeys(["loss", "accuracy", *found]))


def _best(epochs: Epochs, name: str) -> float | None:
    values = column(epochs, name)[1]
    return min(values, key=lambda value: rank(value, better(name)), default=None)


def _last(epochs: Epochs, name: str) -> float | None:
    """The last value there is; NaN is a value, and a final loss of NaN must not be passed over."""
    return next((row[name] for row in reversed(epochs) if name in row), None)


def _finite(value: Any) -> Any:
    if hasattr(value, "tolist"):  # an array, or a number of numpy's
        value = value.tolist()
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
