"""From the labels of a file to those of a loss: classes by number or name, or numbers to predict.

    form = LabelForm.fit(y_train, name="y_train", task=None)
    form = form.scaled(y_train[kept])                        # a regression's, of its training rows
    form.apply(y_test, name="y_test")                        # int32 [B], or float32 [B] or [B, D]

Axis letters: B rows, D columns of a target, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from jaxtrain.data.arrays.floats import as_float32
from jaxtrain.data.rows import Task
from jaxtrain.data.target_scale import TargetScale
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

Kind = Literal["whole", "text", "truth", "number"]
_WORDS = {"b": "truth", "i": "whole", "u": "whole", "f": "number", "U": "text", "S": "text"}
_MOST_CLASSES = 2**20
_SHOWN = 10


@dataclass(frozen=True)
class LabelForm:
    """What was found in the training labels.

    Args:
        task: what there is to learn.
        kind: what they are in the file.
        num_outputs: K, or D.
        classes: the names of the classes; empty where they are whole numbers, or for a regression.
        columns: D of labels `[B, D]`; None of labels `[B]`.
        scale: of a regression's standardised targets.
    """

    task: Task
    kind: Kind
    num_outputs: int
    classes: tuple[str, ...] = ()
    columns: int | None = None
    scale: TargetScale | None = None

    @classmethod
    def fit(cls, raw: np.ndarray, *, name: str, task: Task | None) -> LabelForm:
        """What labels `[B]`, `[B, 1]` or, of a regression, `[B, D]` say.

        Args:
            raw: as they are in the file.
            name: what messages call them.
            task: None: numbers with a point are a regression, all others are classes.

        Raises:
            ConfigError: the task does not fit them.
            DataError: they are no labels; names the first that is none.
        """
        kind: Kind = _kind_of(raw)
        task = task or ("regression" if kind == "number" else "classification")
        labels = squeezed(raw, name=name)
        if task == "regression":
            if kind == "text":
                raise ConfigError(f"data.task: {name} holds texts, which can't be a regression's")
            _refuse_not_finite(labels, name)
            columns = labels.shape[1] if labels.ndim == 2 else None
            return cls(task, "number", columns or 1, columns=columns)
        if labels.ndim != 1:
            raise DataError(
                f"{name}: expected a class for each row [B], found {list(raw.shape)}; of columns "
                "that say yes or no for each class, save labels.argmax(axis=1)"
            )
        if kind == "text":
            texts = _texts(labels, name)
            classes = tuple(sorted(set(texts)))
            return cls(task, kind, len(classes), classes)
        if kind == "truth":
            return cls(task, kind, 2, ("False", "True"))
        numbers = _whole(labels, name)
        return cls(task, "whole", _count_classes(numbers, name))

    def scaled(self, raw: np.ndarray, *, name: str) -> LabelForm:
        """With the scale of the training rows' targets; of a classification, as it is."""
        if self.task == "classification":
            return self
        return replace(self, scale=TargetScale.fit(squeezed(raw, name=name)))

    def apply(self, raw: np.ndarray, *, name: str) -> np.ndarray:
        """Labels of a file as a loss takes them: int32 `[B]`, or float32 `[B]` or `[B, D]`.

        Raises:
            DataError: one is none of the classes, or not finite; names the first.
        """
        labels, known = self.known(raw, name=name)
        if not known.all():
            row = int(known.argmin())
            value = np.asarray(squeezed(raw, name=name)[row]).tolist()
            raise DataError(f"{name}[{row}] is {value!r:.80}; {self._expected()}")
        return labels

    def known(self, raw: np.ndarray, *, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Labels as `apply` gives them, 0 where there is none, and which rows `[B]` have one.

        Raises:
            DataError: they are of another kind or shape than those of the training.
        """
        labels = squeezed(raw, name=name)
        columns = labels.shape[1] if labels.ndim == 2 else None
        if self._misfits(raw) or labels.ndim > 2 or columns != self.columns:
            raise DataError(
                f"{name}: {raw.dtype.name}{list(raw.shape)} is no array of labels as the model was "
                f"trained on; {self._expected()}"
            )
        if self.task == "regression":
            values = np.asarray(labels, np.float64)
            known = np.asarray(_is_good(values).reshape(len(values), -1).all(axis=1))
            values = np.where(known.reshape(-1, *(1,) * (values.ndim - 1)), values, 0.0)
            if self.scale is not None:
                standard = self.scale.standardise(values)
                standard[~known] = 0
                return standard, known
            return as_float32(values, name=name), known
        if self.kind == "text":
            places = {text: number for number, text in enumerate(self.classes)}
            found = np.array([places.get(text, -1) for text in _texts(labels, name)], np.int64)
        else:
            whole = np.isfinite(labels) & (labels == np.floor(labels)) & (labels < self.num_outputs)
            # -1 is no number of an unsigned type.
            found = np.where(whole, np.where(whole, labels, 0).astype(np.int64), -1)
        known = np.asarray(found >= 0)
        return np.where(known, found, 0).astype(np.int32), known

    def words(self, raw: np.ndarray) -> str:
        """What is done with labels like `raw`, for a person; nothing where nothing is."""
        said = []
        if raw.ndim == 2 and raw.shape[1] == 1:
            said.append(f"labels {list(raw.shape)} taken as {[len(raw)]}")
        if self.task == "classification" and raw.dtype.kind == "f":
            said.append(f"labels in {raw.dtype.name} taken as classes")
        if self.scale is not None:
            said.append("targets standardised; metrics and predictions are in their own unit")
        return ", ".join(said)

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {
            "task": self.task,
            "kind": self.kind,
            "num_outputs": self.num_outputs,
            "classes": list(self.classes),
            "columns": self.columns,
            "scale": None if self.scale is None else self.scale.to_json(),
        }

    @classmethod
    def from_json(cls, record: Any) -> LabelForm:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            scale = record["scale"]
            form = cls(
                record["task"],
                record["kind"],
                record["num_outputs"],
                tuple(record["classes"]),
                record["columns"],
                None if scale is None else TargetScale.from_json(scale),
            )
            regression = form.task == "regression"
            right = (
                form.task in ("classification", "regression")
                and form.kind in (("number",) if regression else ("whole", "text", "truth"))
                and type(form.num_outputs) is int
                and 0 < form.num_outputs <= _MOST_CLASSES
                and all(isinstance(name, str) for name in form.classes)
                and len(form.classes) == (form.num_outputs if form.kind in ("text", "truth") else 0)
                and len(set(form.classes)) == len(form.classes)
                and form.columns in ((None, form.num_outputs) if regression else (None,))
                and (form.columns is not None or not regression or form.num_outputs == 1)
                and (form.scale is None or len(form.scale.mean) == form.num_outputs)
                and (form.scale is None or regression)
            )
        except (TypeError, KeyError):
            right = False
        if not right:
            raise DataError(
                "the reader of arrays: expected task, classes and scale of the labels as they were "
                f"trained with, found {record!r:.200}"
            )
        return form

    def _misfits(self, raw: np.ndarray) -> bool:
        """Whether labels of this dtype can't mean what the training labels mean."""
        if self.kind == "text":
            return raw.dtype.kind not in "US"
        return raw.dtype.kind not in ("biuf" if self.kind != "truth" else "biu")

    def _expected(self) -> str:
        if self.task == "regression":
            shape = "[B]" if self.columns is None else f"[B, {self.columns}]"
            return f"expected finite numbers {shape}"
        if self.kind == "whole":
            return f"expected whole numbers from 0 to {self.num_outputs - 1}, the classes"
        more = ", ..." if len(self.classes) > _SHOWN else ""
        return f"expected one of the classes {', '.join(self.classes[:_SHOWN])}{more}"


def squeezed(raw: np.ndarray, *, name: str) -> np.ndarray:
    """Labels `[B, 1]` as `[B]`, others as they are.

    Raises:
        DataError: there are no rows, or more axes.
    """
    if not 1 <= raw.ndim <= 2 or not raw.size:
        raise DataError(f"{name}: expected labels [B] or [B, D], found {list(raw.shape)}")
    return raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw


def _kind_of(raw: np.ndarray) -> Kind:
    kind: Kind = _WORDS[raw.dtype.kind]  # type: ignore[assignment]
    return kind


def _texts(labels: np.ndarray, name: str) -> list[str]:
    try:
        texts = [t.decode() if isinstance(t, bytes) else t for t in labels.tolist()]
        "".join(texts).encode()
    except ValueError:  # bytes that are none, halves of letters
        raise DataError(f"{name}: texts that are not UTF-8") from None
    return texts


def _whole(labels: np.ndarray, name: str) -> np.ndarray:
    """Labels as int64, where all are whole and none is below 0."""
    right = (labels >= 0) & (labels < _MOST_CLASSES) & (labels == np.floor(labels))
    wrong = np.flatnonzero(~right)
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{name}[{row}] is {labels[row]}: expected classes, whole numbers from 0 on and below "
            f"{_MOST_CLASSES:,}; for numbers to predict set data.task=regression"
        )
    return labels.astype(np.int64)


def _count_classes(labels: np.ndarray, name: str) -> int:
    """One more than the largest; classes that never occur are told of."""
    count = int(labels.max()) + 1
    gaps = np.setdiff1d(np.arange(count), labels)
    if gaps.size:
        shown = ", ".join(map(str, gaps[:_SHOWN].tolist()))
        logger.warning(
            "%s: %d classes, from 0 to the largest label; %d of them never occur: %s%s",
            name,
            count,
            gaps.size,
            shown,
            ", ..." if gaps.size > _SHOWN else "",
        )
    return count


def _refuse_not_finite(labels: np.ndarray, name: str) -> None:
    wrong = np.argwhere(~_is_good(labels))
    if len(wrong):
        place = wrong[0].tolist()
        raise DataError(
            f"{name}{place} is {labels[tuple(wrong[0])]}: expected finite numbers to predict, "
            f"such as float32 holds; {len(wrong):,} are not"
        )


def _is_good(targets: np.ndarray) -> np.ndarray:
    """Which numbers are finite, in float32 too."""
    return np.asarray(np.abs(targets.astype(np.float64)) <= np.finfo(np.float32).max)
