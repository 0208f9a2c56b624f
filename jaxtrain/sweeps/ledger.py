"""sweep.jsonl and asked.jsonl: which members were asked for, and what became of each.

    append_asked(root / "asked.jsonl", Asked(batch=0, members=(...)))     # before they are trained
    append_rows(root / "sweep.jsonl", [row, ...])                         # when they are over
    read_rows(root / "sweep.jsonl")                                       # by member

One JSON object a line, only ever added at the end and brought to the disk: a kill tears the last
line at most, which is dropped with a warning. Any other line that is wrong is an error that names
it, since a member that is left out in silence would be trained again, or never ranked.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

import pydantic

from jaxtrain.errors import DataError
from jaxtrain.files import append_line, sync
from jaxtrain.tracking.rows import mend

logger = logging.getLogger(__name__)

Status: TypeAlias = Literal["finished", "stopped", "cut", "failed"]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no Inf: null stands for them, as in metrics.jsonl."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """A value as JSON gives it back: lists, and none of the numbers that it lacks.

    Raises:
        ValueError: it is nothing that JSON has.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except TypeError as error:
        raise ValueError(str(error)) from None


_Figure = Annotated[float | None, pydantic.BeforeValidator(_finite)]
_Values = Annotated[dict[str, Any], pydantic.BeforeValidator(_plain)]
_Count = Annotated[int, pydantic.Field(ge=0)]
_Epoch = Annotated[int, pydantic.Field(ge=1)]


class _Line(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)


_L = TypeVar("_L", bound=_Line)


class Row(_Line):
    """A member that is over.

    Attributes:
        member: its number in the whole sweep, from 0.
        batch: of those that were asked for at once.
        group: of those of a batch that were trained as one program.
        values: by dotted key what was drawn; lists where the config has tuples.
        status: "finished"; "stopped" by early stopping; "cut" at a rung; "failed" by NaN or Inf.
        epochs: that it was trained.
        iterations: likewise.
        monitor: the metric that it is ranked by.
        value: the best of that; None where no epoch was good. NaN and Inf become None.
        best_epoch: of that value.
        figures: all metrics of the best epoch, of the last where there is no best.
        rungs: of each rung its epoch, and the monitor's value there.
        failed_at: the iteration in which it failed.
    """

    member: _Count
    batch: _Count
    group: _Count
    values: _Values
    status: Status
    epochs: _Count
    iterations: _Count
    monitor: str
    value: _Figure = None
    best_epoch: _Epoch | None = None
    figures: dict[str, _Figure] = {}
    rungs: tuple[tuple[_Epoch, _Figure], ...] = ()
    failed_at: _Count | None = None

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.value is None) is not (self.best_epoch is None):
            raise ValueError("value and best_epoch: expected both, or null for both")
        if self.best_epoch is not None and self.best_epoch > self.epochs:
            raise ValueError(f"best_epoch {self.best_epoch}: expected at most {self.epochs}")
        if (self.status == "failed") is (self.failed_at is None):
            raise ValueError(f"failed_at {self.failed_at}: does not go with {self.status!r}")
        return self


class AskedMember(_Line):
    """A member that is to be trained.

    Attributes:
        member: its number in the whole sweep, from 0.
        values: by dotted key what was drawn.
        trial: its number in optuna's study, where there is one.
    """

    member: _Count
    values: _Values
    trial: _Count | None = None


class Asked(_Line):
    """The members that were asked for at once.

    Attributes:
        batch: its number, from 0.
        members: each once.
    """

    batch: _Count
    members: tuple[AskedMember, ...]


def append_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add the rows of members that are over, all of them or none; they are on the disk then.

    Raises:
        OSError: they can't be written in full; what was written is taken back.
    """
    _append(path, rows)


def append_asked(path: Path, asked: Asked) -> None:
    """Add a batch, as `append_rows`."""
    _append(path, [asked])


def read_rows(path: Path) -> tuple[Row, ...]:
    """The members that are over, by number; none where there is no file. The last line of one wins.

    Raises:
        DataError: a line is no row, or speaks of another sweep: another monitor than the first, or
            other values than an earlier line of the member.
    """
    found: dict[int, tuple[int, Row]] = {}
    monitor: str | None = None
    for number, row in _read(path, Row):
        monitor = row.monitor if monitor is None else monitor
        if row.monitor != monitor:
            raise DataError(
                f"{path}:{number}: monitor: expected {monitor!r}, as in the lines before it, found "
                f"{row.monitor!r}; a sweep has one"
            )
        before = found.get(row.member)
        if before is not None and before[1].values != row.values:
            raise DataError(
                f"{path}:{number}: member {row.member}: expected the values of line {before[0]}, "
                f"{before[1].values}, found {row.values}"
            )
        found[row.member] = number, row
    return tuple(found[member][1] for member in sorted(found))


def read_asked(path: Path) -> tuple[Asked, ...]:
    """The batches that were asked for, by number; none where there is no file.

    Raises:
        DataError: a line is no batch, or a batch or member is there twice.
    """
    found: dict[int, Asked] = {}
    members: dict[int, int] = {}
    for number, asked in _read(path, Asked):
        if asked.batch in found:
            raise DataError(f"{path}:{number}: batch {asked.batch} is there twice")
        for one in asked.members:
            if one.member in members:
                raise DataError(
                    f"{path}:{number}: member {one.member} is in batch {members[one.member]} "
                    "already"
                )
            members[one.member] = asked.batch
        found[asked.batch] = asked
    return tuple(found[batch] for batch in sorted(found))


def _append(path: Path, lines: Iterable[_Line]) -> None:
    told = [json.dumps(line.model_dump(mode="json"), allow_nan=False) + "\n" for line in lines]
    mend(path)
    is_new = not path.exists()
    append_line(path, "".join(told).encode(), sync=True)
    if is_new:  # the bytes are nobody's while the name may be lost
        sync(path.parent)


def _read(path: Path, kind: type[_L]) -> Iterator[tuple[int, _L]]:
    """The lines by their numbers, from 1."""
    if not path.exists():
        return
    *lines, torn = path.read_bytes().split(b"\n")
    if torn:
        logger.warning("%s: dropped a torn last line of %d bytes", path, len(torn))
    for number, line in enumerate(lines, start=1):
        try:
            yield number, kind.model_validate_json(line)
        except pydantic.ValidationError as error:
            raise DataError(f"{path}:{number}: {_told(error)}") from None


def _told(error: pydantic.ValidationError) -> str:
    """What is wrong first, by its key, and what was found there."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    found = "" if first["type"] in ("json_invalid", "missing") or not key else first["input"]
    said = f"{first['msg']}" + (f", found {found!r}" if found != "" else "")
    return f"{key}: {said}" if key else said
