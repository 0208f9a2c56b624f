"""A report as JSON values, and back.

    record = to_json(report)
    from_json(RetentionReport, json.loads(json.dumps(record))) == report

Every field is written under its own name, and one that is missing, unknown or of another kind is an
error: figures that were edited or cut off must not be compared with others. A figure is three
numbers, and the file says which: `"columns": ["value", "low", "high"], "level": 0.95`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jaxtrain.errors import DataError
from jaxtrain.retention.baseline import Baseline
from jaxtrain.retention.beside import Joint, Merged
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.findings import Findings
from jaxtrain.retention.resampling import LEVEL
from jaxtrain.retention.transfer import FORMULAS

VERSION = 2
_COLUMNS = {"columns": list(Estimate._fields), "level": LEVEL}
# Version 1 did not say what the numbers are, and had no losses of a joint training.
_SAID: dict[int, dict[str, Any]] = {1: {}, VERSION: _COLUMNS}

T = TypeVar("T")
F = TypeVar("F", bound=Findings)
Reader = Callable[[Any], Any]


def to_json(report: Findings) -> dict[str, Any]:
    """As JSON values, which hold every bit."""
    return {"version": VERSION, **_COLUMNS, **_fields(report)}


def from_json(kind: type[F], record: Any) -> F:
    """What `to_json` gave.

    Args:
        kind: of report.
        record: what may be one.

    Raises:
        DataError: it is something else.
    """
    version = record.get("version") if isinstance(record, Mapping) else None
    if isinstance(version, bool) or not isinstance(version, int) or version not in _SAID:
        raise DataError(
            f"a retention report: expected version 1 or {VERSION}, found {record!r:.80}"
        )
    for name, said in _SAID[version].items():
        if record.get(name) != said:
            raise DataError(
                f"a retention report: {name}: expected {said}, found {record.get(name)!r:.80}"
            )
    fields = {n: value for n, value in record.items() if n not in ("version", *_SAID[version])}
    if version == 1 and isinstance(joint := fields.get("joint"), Mapping):
        fields["joint"] = {"nlls": {}, **joint}
    report = _read(kind, fields, _READERS[Findings])
    rows = len(report.phases) + 1
    if len(report.tasks) != rows - 1 or len(report.scores) != rows or len(report.nlls) != rows:
        raise DataError(
            f"a retention report: expected {rows} rows, one a phase and the base model's, found "
            f"{len(report.scores)} of {len(report.tasks)} tasks"
        )
    known = {*report.tasks, *report.untrained}
    figures = [*report.scores, *report.nlls, report.gains, report.changes, report.nll_changes]
    others = {*report.examples, *report.baselines, *(name for one in figures for name in one)}
    if not others <= known:
        raise DataError(
            f"a retention report: expected tasks of {', '.join(sorted(known))}, found "
            f"{', '.join(sorted(others - known))}"
        )
    return report


def _fields(value: Any) -> Any:
    """Any record of this room as JSON values."""
    if isinstance(value, Estimate | Baseline):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {
            field.name: _fields(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {name: _fields(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_fields(each) for each in value]
    return value


def _read(kind: type[T], record: Any, readers: Mapping[str, Reader]) -> T:
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    if not isinstance(record, Mapping) or set(record) != set(names):
        found = ", ".join(map(str, record)) if isinstance(record, Mapping) else f"{record!r:.80}"
        raise DataError(f"{kind.__name__}: expected the fields {', '.join(names)}, found {found}")
    values = {}
    for name in names:
        try:
            values[name] = readers[name](record[name])
        except DataError as error:
            raise DataError(f"{kind.__name__}: {name}: {error}") from None
    return kind(**values)


def _list_of(read: Reader) -> Reader:
    def reader(value: Any) -> Any:
        if not isinstance(value, list):
            raise DataError(f"expected a list, found {value!r:.80}")
        return tuple(read(each) for each in value)

    return reader


def _by_task(read: Reader) -> Reader:
    def reader(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise DataError(f"expected something for each task, found {value!r:.80}")
        return {name: read(each) for name, each in value.items()}

    return reader


def _or_none(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _a(kind: type, name: str) -> Reader:
    def reader(value: Any) -> Any:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(f"expected {name}, found {value!r:.80}")
        return value

    return reader


_TEXT = _a(str, "a text")
_COUNT = _a(int, "a whole number")
_NUMBER = _a(float, "a number")
_FIGURE = _or_none(Estimate.from_json)
_FIGURES = _by_task(Estimate.from_json)
_READERS: dict[type, dict[str, Reader]] = {
    Findings: {
        **dict.fromkeys(("tasks", "phases", "untrained", "notes"), _list_of(_TEXT)),
        **dict.fromkeys(("scores", "nlls"), _list_of(_FIGURES)),
        **dict.fromkeys((*FORMULAS, "control_loss"), _FIGURE),
        **dict.fromkeys(("gains", "changes", "nll_changes"), _FIGURES),
        **dict.fromkeys(("seed", "resamples"), _COUNT),
        "examples": _by_task(_COUNT),
        "baselines": _by_task(Baseline.from_json),
        "merged": _or_none(lambda value: _read(Merged, value, _READERS[Merged])),
        "joint": _or_none(lambda value: _read(Joint, value, _READERS[Joint])),
        "control": _or_none(_TEXT),
    },
    Merged: {
        **dict.fromkeys(("scores", "changes", "nll_changes"), _FIGURES),
        **dict.fromkeys(("largest", "largest_nll"), _NUMBER),
    },
    Joint: {"scores": _FIGURES, "nlls": _FIGURES, "average": _FIGURE, "gap": _FIGURE},
}
