"""What a sweep has asked for, and what has become of it: two files, only ever added to.

    ledger = Ledger(directory)
    ledger.ask(0, [Asked(0, {"optimizer.learning_rate": 1e-3})])       # before a member is trained
    ledger.add(row)                                                    # a line of sweep.jsonl
    ledger.rows[0]["value"]

A line is written whole or not at all; one that a kill has torn is dropped with a warning, and
written again, since what it says follows from what the members' checkpoints hold.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pydantic

from jaxtrain.errors import DataError
from jaxtrain.sweeps.search import Asked
from jaxtrain.tracking import append_row, read_rows
from jaxtrain.tracking.rows import mend

ROWS, ASKED = "sweep.jsonl", "asked.jsonl"


class _Row(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")

    member: int = pydantic.Field(ge=0)
    batch: int
    group: int
    values: dict[str, Any]
    status: Literal["finished", "stopped", "cut", "failed"]
    epochs: int
    iterations: int
    monitor: str
    value: float | None
    best_epoch: int | None
    figures: dict[str, float | None]
    rungs: list[tuple[int, float | None]]
    failed_at: int | None


class Ledger:
    """The two files of a sweep's directory.

    Attributes:
        asked: the members of each batch.
        rows: what has become of them, by member; of two lines the later one holds.

    Raises:
        DataError: a line is not what it must be.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[list[Asked]] = []
        self.rows: dict[int, dict[str, Any]] = {}
        for name in (ROWS, ASKED):
            mend(directory / name)
        for number, line in enumerate(self._lines(ASKED), 1):
            try:
                self.asked.append([Asked(**member) for member in line["members"]])
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"{directory / ASKED}: line {number} is not what was written: {error}"
                ) from None
        self.rows = rows_of(directory)

    def ask(self, batch: int, members: Sequence[Asked]) -> None:
        """A batch's members, before any of them is trained."""
        said = [{"member": m.member, "values": m.values, "trial": m.trial} for m in members]
        append_row(self.directory / ASKED, {"batch": batch, "members": said}, sync=True)
        self.asked.append(list(members))

    def add(self, row: Mapping[str, Any]) -> None:
        """What has become of a member; the same as is there already is not written again."""
        row = json.loads(json.dumps(row))  # as it is read again: a tuple is a list then
        if self.rows.get(row["member"]) != row:
            append_row(self.directory / ROWS, row, sync=True)
            self.rows[row["member"]] = row

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.directory / name
        return read_rows(path)[0] if os.path.exists(path) else []


def rows_of(directory: Path) -> dict[int, dict[str, Any]]:
    """The rows of a sweep's directory, by member.

    Raises:
        DataError: a line is not what it must be: somebody has edited it.
    """
    path = directory / ROWS
    found: dict[int, dict[str, Any]] = {}
    if not path.exists():
        return found
    for number, line in enumerate(read_rows(path)[0], 1):
        try:
            _Row.model_validate_json(pydantic.TypeAdapter(dict).dump_json(line))
        except pydantic.ValidationError as error:
            detail = error.errors(include_url=False)[0]
            key = ".".join(map(str, detail["loc"]))
            raise DataError(f"{path}: line {number}: {key}: {detail['msg']}") from None
        found[line["member"]] = line
    return found
