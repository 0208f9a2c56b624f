"""Rows as MLflow's series: which name each has, and which of several equal ones it is.

    tail = Tail(directory)
    points = tail.points()               # of the rows that were added since the last call
    points[0]                            # Point("step/loss", 100, 0.41, 0)

A rewritten file (a run that goes on takes rows back) is read from its beginning again; `anew` says
so. NaN and Inf, which are null in metrics.jsonl, are NaN here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxtrain.tracking.mlflow.names import metric_name
from jaxtrain.tracking.rows import LOG, PLACES, STEP, is_count, rows_in

_LARGEST = 1.7976931348623157e308
_WITNESS = 64


class Point(NamedTuple):
    """A value of a series.

    Attributes:
        key: the series.
        step: where.
        value: what; NaN where it was none or infinite.
        nth: how many of this series and step come before it, whatever their values.
    """

    key: str
    step: int
    value: float
    nth: int


class Tail:
    """The rows of a run, read on and on.

    Args:
        directory: of the run.
        is_script: whether a script logs it: its plain names are those of what it has logged. In a
            run of the command line they are those of its epochs.

    Attributes:
        anew: whether the last call had to begin with the first row.
        size: how many bytes were read.
        renamed: names that MLflow does not take, and what the series is called there.
    """

    def __init__(self, directory: Path, *, is_script: bool) -> None:
        self._file = directory / "metrics.jsonl"
        self._is_script = is_script
        self.renamed: dict[str, str] = {}
        self.forget()

    def forget(self) -> None:
        """Begin with the first row again."""
        self.anew, self.size = True, 0
        self._digest = hashlib.sha256()
        self._counts: Counter[tuple[str, int]] = Counter()
        self._witness = b""
        self._node = -1

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._digest.hexdigest()

    def points(self) -> list[Point]:
        """Of the rows that are new since the last call, or since `forget`; of all where some were
        taken back. A line that is not ended yet waits for its end.
        """
        try:
            with self._file.open("rb") as stream:
                node = _node(stream.fileno())
                if node != self._node or not self._is_same(stream):
                    self.forget()
                else:
                    self.anew = False
                self._node = node
                stream.seek(self.size)
                content = stream.read()
        except FileNotFoundError:
            self.forget()
            return []
        content = content[: content.rfind(b"\n") + 1]
        self._digest.update(content)
        self.size += len(content)
        self._witness = (self._witness + content)[-_WITNESS:]
        return [p for row in rows_in(content)[0] for p in self._points(row)]

    def begins_with(self, size: int, digest: str) -> bool:
        """Whether the first `size` bytes of the file are those that had this SHA-256."""
        try:
            with self._file.open("rb") as stream:
                content = stream.read(size)
        except FileNotFoundError:
            content = b""
        return len(content) == size and hashlib.sha256(content).hexdigest() == digest

    def skip(self, size: int) -> None:
        """Take the first `size` bytes, whole lines, as read."""
        self.forget()
        with self._file.open("rb") as stream:
            self._node = _node(stream.fileno())
            content = stream.read(size)
        self._digest.update(content)
        self.size = len(content)
        self._witness = content[-_WITNESS:]
        for row in rows_in(content)[0]:
            for _ in self._points(row):
                pass

    def _is_same(self, stream: Any) -> bool:
        """Whether what was read last still stands where it stood."""
        stream.seek(self.size - len(self._witness))
        return bool(stream.read(len(self._witness)) == self._witness)

    def _points(self, row: Mapping[str, Any]) -> Iterator[Point]:
        event = row.get("event")
        step = row.get("step" if event == LOG else "iteration")
        if event not in (LOG, "iteration", "epoch") or not is_count(step, 0):
            return
        assert isinstance(step, int)
        for name, value in row.items():
            if name in PLACES or isinstance(value, bool):
                continue
            if value is not None and not isinstance(value, int | float):
                continue
            key = series_key(row, name, is_script=self._is_script)
            if not key.endswith(name):
                self.renamed[name] = key
            nth = self._counts[key, step]
            self._counts[key, step] += 1
            yield Point(key, step, _finite(value), nth)


def series_key(row: Mapping[str, Any], name: str, *, is_script: bool) -> str:
    """The name of the series that `name` in a row belongs to; those of two are never the same.

    >>> series_key({"event": "iteration"}, "loss", is_script=False)
    'step/loss'
    >>> series_key({"event": "log", "axis": "tokens"}, "loss", is_script=True)
    'axis/tokens/loss'
    """
    event, axis = str(row.get("event")), str(row.get("axis", STEP))
    if event == LOG and axis != STEP:
        unclear = "/" in axis
        identity = json.dumps([event, axis, name]) if unclear else None
        return metric_name(f"axis/{axis}/{name}", identity)
    if event == "iteration":
        return metric_name(f"step/{name}")
    if is_script == (event == LOG):
        # The plain name, unless it looks as if it were another's.
        taken = name.startswith(("step/", "axis/", "epoch/", "log/"))
        return metric_name(name, json.dumps([event, name]) if taken else None)
    return metric_name(f"{event}/{name}")


def stored(value: float) -> float | str:
    """A value as a database of MLflow holds it, to be compared: all NaN are one."""
    if math.isnan(value):
        return "nan"
    return max(-_LARGEST, min(_LARGEST, value))


def _finite(value: float | None) -> float:
    if value is None:
        return math.nan
    try:
        return float(stored(float(value)))
    except OverflowError:  # an int that no float is as large as
        return _LARGEST if value > 0 else -_LARGEST


def _node(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino
