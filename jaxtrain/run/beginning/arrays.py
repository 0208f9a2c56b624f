"""A config to begin with, from a file of arrays.

beginning = begin_with_arrays(Path("mnist.npz"))
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxtrain.data import ArraysInspection, inspect_arrays
from jaxtrain.data.rows import Task
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.run.beginning.beginning import (
    Beginning,
    Fact,
    project_of,
    shown,
    where_from,
    written,
)
from jaxtrain.run.beginning.classes import WEIGHTS, classes_fact, uneven
from jaxtrain.run.beginning.sizes import convolutions, pace, perceptron, remaining

_FEW = 20  # different values of a label: classes, whatever their dtype
_SHARE = 0.05  # of the rows, as different values: numbers to predict, though they are whole
_TAME = 2.0  # pixels up to here need no other scale


def begin_with_arrays(path: Path) -> Beginning:
    """Look at a file of arrays, and say how to begin.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: its arrays are not to be told apart.
        DataError: it is broken, or holds what nobody can train with.
    """
    seen = inspect_arrays(path.expanduser())
    _refuse_not_finite(seen)
    task, why_task, is_given = _task(seen)
    images, why_images = _images(seen)
    rows = remaining(
        seen.inputs.head.shape[0],
        test="test" not in seen.pairs,
        validation="validation" not in seen.pairs,
    )
    rhythm = pace(rows)
    data: dict[str, Any] = {
        "name": "arrays",
        "root": written(path.parent),
        "file": written(Path(path.name)),
        "batch_size": rhythm.batch_size,
    }
    if not is_given:
        data["task"] = task
    if images and not _is_bytes(seen):
        data["images"] = True
    standardise, why_scale = _scale(seen, images)
    if standardise:
        data["standardise"] = True
    model = perceptron(rows)
    if images:
        size = seen.inputs.head.shape[1:3]
        model = {"name": "cnn", "channels": convolutions((size[0], size[1])), "hidden": [128]}
        model["dropout"] = 0.25
    config: dict[str, Any] = {"project": project_of(path, "arrays"), "data": data, "model": model}
    if task == "regression":
        config["loss"] = {"name": "mean_squared_error"}
    config |= rhythm.sections()
    facts = [*_arrays(seen), Fact("task", task, why_task)]
    comments = {
        "data.root": "from the directory in which you train",
        "data.standardise": "each column to mean 0 and deviation 1, by the training rows",
        "data.task": "of the labels: regression or classification",
    }
    lines: list[str] = []
    if task == "classification":
        facts.append(classes_fact(seen.labels.counts, f"the values of {seen.labels.array.name}"))
        said, is_uneven = uneven(seen.labels.counts)
        lines += [*said, *_gaps(seen)]
        if is_uneven:
            comments["loss"] = WEIGHTS
    facts += [
        _sets(seen),
        Fact("scale", "standardised" if standardise else "kept", why_scale),
        Fact("model", model["name"], why_images),
        Fact(
            "training",
            rhythm.words(),
            f"about {rows:,} training rows",
        ),
    ]
    lines += [shown(fault) for fault in seen.faults]
    if where := where_from(path.parent):
        lines.append(where)
    return Beginning(config, tuple(facts), tuple(lines), comments)


def _arrays(seen: ArraysInspection) -> list[Fact]:
    roles: dict[str, str] = {}
    for part, pair in seen.pairs.items():
        roles |= {pair.inputs: f"{part} inputs", pair.labels: f"{part} labels"}
    facts = []
    for name, array in seen.arrays.items():
        because = str(array.head)
        if array.low is not None:
            because += f", from {array.low:g} to {array.high:g}"
        facts.append(Fact(shown(name), roles[name], because))
    if seen.left_out:
        names = ", ".join(shown(name) for name in seen.left_out[:10])
        facts.append(Fact(names, "not used", "neither inputs nor labels by name"))
    return facts


def _task(seen: ArraysInspection) -> tuple[Task, str, bool]:
    """The task, why, and whether the source takes it so without being told."""
    labels = seen.labels
    name, head = labels.array.name, labels.array.head
    wide = len(head.shape) == 2 and head.shape[1] > 1
    if labels.is_one_hot:
        raise ConfigError(
            f"{seen.path}: {name} {head} says yes or no for each class; save "
            f"{name}.argmax(axis=1) in its place"
        )
    if head.dtype.kind in "USb":
        return "classification", f"{name} holds {labels.distinct} different {_word(head)}", True
    floats = head.dtype.kind == "f"
    many = labels.distinct > max(_FEW, _SHARE * head.shape[0])
    values = f"{labels.distinct:,} different values of {name}"
    if wide or not labels.is_whole or many:
        why = values if not labels.is_whole else f"{values}, too many for classes"
        return "regression", f"{head.shape[1]} columns of {name}" if wide else why, floats
    if labels.array.low is not None and labels.array.low < 0:
        raise ConfigError(
            f"{seen.path}: {name} has {labels.distinct} different values, from "
            f"{labels.array.low:g} on; classes begin at 0: save them so, or as texts"
        )
    return "classification", f"{values}, all whole", not floats


def _word(head: Any) -> str:
    return "truth values" if head.dtype.kind == "b" else "texts"


def _images(seen: ArraysInspection) -> tuple[bool, str]:
    """Whether the inputs are images, and why."""
    shape = seen.inputs.head.shape
    size = "x".join(map(str, shape[1:])) or "1"
    large = min(shape[1:3], default=0) >= 4
    if _is_bytes(seen) and len(shape) in (3, 4):
        return large, f"images of {size}, in bytes" if large else f"images of {size}, very small"
    if len(shape) == 4 and shape[-1] in (1, 3, 4):
        return large, f"images of {size}"
    if len(shape) == 3 and large:
        return False, f"rows of {size}; if they are images, set data.images=true model.name=cnn"
    return False, f"rows of {size}"


def _is_bytes(seen: ArraysInspection) -> bool:
    return seen.inputs.head.dtype.name == "uint8"


def _scale(seen: ArraysInspection, images: bool) -> tuple[bool, str]:
    """Whether inputs are to be standardised, and why."""
    low, high = seen.inputs.low or 0.0, seen.inputs.high or 0.0
    divided = _is_bytes(seen) and len(seen.inputs.head.shape) in (3, 4)
    if divided and (high > 127 or high <= 1):
        return False, "bytes of images are divided by 255" if high > 1 else "zeros and ones"
    if images and max(-low, high) <= _TAME:
        return False, f"pixels from {low:g} to {high:g}"
    return True, f"values from {low:g} to {high:g}, by the training rows"


def _sets(seen: ArraysInspection) -> Fact:
    rows = {part: seen.arrays[pair.inputs].head.shape[0] for part, pair in seen.pairs.items()}
    drawn = [] if "test" in rows else ["test 20%"]
    drawn += [] if "validation" in rows else ["validation 10% of the rest"]
    found = [f"{part} {count:,}" for part, count in rows.items()]
    because = "arrays of these names" if len(rows) > 1 else ""
    if drawn:
        because += ("; " if because else "") + "drawn where the file has none"
    return Fact("sets", ", ".join([*found, *drawn]), because)


def _gaps(seen: ArraysInspection) -> list[str]:
    labels = seen.labels
    if labels.array.head.dtype.kind not in "iuf" or labels.array.high is None:
        return []
    classes = int(labels.array.high) + 1
    if classes == labels.distinct:
        return []
    return [
        f"{labels.array.name}: classes from 0 to {classes - 1}, of which "
        f"{classes - labels.distinct} never occur; `check` will say so. Classes that count from 1 "
        "are saved as y - 1"
    ]


def _refuse_not_finite(seen: ArraysInspection) -> None:
    for array in seen.arrays.values():
        if array.not_finite:
            raise DataError(
                f"{seen.path}: {array.name}{list(array.first)} is NaN or infinite, as are "
                f"{array.not_finite - 1:,} others; no model learns from them: replace them"
            )
