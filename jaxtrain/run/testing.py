"""The last look at a run: its figures on the test set, and what it is most wrong about.

    tester = make_tester(task, state)
    figures = tester.run(loader, state=best).metrics
    log_mistakes(record, rows, figures.pop(MISTAKES, None), step=iterations)

Axis letters: N mistakes, K classes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.data import Dataset, Rows
from jaxtrain.engine import Engine
from jaxtrain.metrics import ConfusionMatrix, WorstMistakes
from jaxtrain.run.task import Task
from jaxtrain.step import TrainState
from jaxtrain.tracking import Run

MISTAKES = "<mistakes>"
"""The figure that they stand under; no metric of a config is meant by it."""

_COUNT = 16
# A table of more classes is no picture any more, and a file of megabytes.
_MOST_CLASSES = 64
_EXACT = 2**24


def make_tester(task: Task, state: TrainState) -> Engine:
    """An evaluator with the metrics of the run; of a classifier of single labels it also tells the
    worst mistakes, and the confusion matrix, if the config names no metrics of its own.
    """
    form = None if task.config.train.form == "auto" else task.config.train.form
    tester = Engine(task.eval_step, state, form=form)
    metrics: dict[str, Any] = task.metrics()
    rows = task.data.sets["test"]
    if _is_classifier(task) and task.config.tracking.mode != "disabled":
        if task.config.metrics is None and rows.num_outputs <= _MOST_CLASSES:
            metrics |= {"confusion_matrix": ConfusionMatrix(num_classes=rows.num_outputs)}
        if len(rows) < _EXACT:
            metrics |= {MISTAKES: WorstMistakes(count=_COUNT)}
    tester.add_metrics(metrics)
    return tester


def log_mistakes(record: Run, rows: Rows, found: np.ndarray | None, *, step: int) -> None:
    """Log the worst mistakes as a table, and as pictures where inputs are such.

    Args:
        record: of the run.
        rows: the test set.
        found: `[N, 4]`, as `WorstMistakes` gives it; None where there is nothing to tell.
        step: iterations of the run.
    """
    if found is None:
        return
    found = np.asarray(found)
    found = found[~np.isnan(found[:, 0])]
    classes = getattr(rows, "label_names", ()) or tuple(map(str, range(rows.num_outputs)))
    table, pictures = [], []
    for row, label, said, loss in found.tolist():
        is_, taken_for = classes[int(label)], classes[int(said)]
        table.append({"row": int(row) + 1, "is": is_, "taken for": taken_for, "loss": loss})
        picture = _picture(rows, int(row))
        if picture is not None:
            pictures.append((f"row {int(row) + 1}: {is_}, taken for {taken_for}", picture))
    names = [f"mistakes/{number + 1:02}" for number in range(_COUNT)]
    record.forget_media("mistakes/table", *names)  # of a report that a kill left half made
    if not table:
        return
    record.log_table("mistakes/table", table, step)
    for name, (caption, picture) in zip(names, pictures, strict=False):
        record.log_image(name, picture, step, caption=caption)


def _is_classifier(task: Task) -> bool:
    """Whether the step puts out a number a class, and one label, for each row."""
    rows = task.data.sets["test"]
    if rows.task != "classification":
        return False
    _, output = jax.eval_shape(task.eval_step, task.abstract_state(), task.data.example())
    outputs, labels = output.get("outputs"), output.get("labels")
    if not isinstance(outputs, jax.ShapeDtypeStruct) or not isinstance(
        labels, jax.ShapeDtypeStruct
    ):
        return False
    whole = jnp.issubdtype(labels.dtype, jnp.integer) and labels.ndim == 1
    return bool(whole and outputs.shape == (*labels.shape, rows.num_outputs))


def _picture(rows: Rows, row: int) -> np.ndarray | None:
    """An input as a picture `[H, W]` or `[H, W, C]`, its own smallest value black."""
    if not isinstance(rows, Dataset):
        return None
    shape = rows.inputs.shape[1:]
    if not rows.image_shape and not (len(shape) == 3 and shape[-1] in (1, 3, 4)):
        return None
    picture = rows.inputs[row].reshape(rows.image_shape or shape).astype(np.float32)
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low if high > low else 1.0)
