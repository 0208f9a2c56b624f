"""The directory of a sweep: whose it is, and what stands in it.

directory = SweepDirectory("runs/digits/sweep")
with directory.held(record, base) as claim:      # nobody else's, and no other sweep's
    claim()                                      # from now on it is this one's
    directory.append_asked(number, members)
    directory.append_rows(rows)
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrain.config import ExperimentConfig, dump
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import make_directory, replacing
from jaxtrain.files.lock import lock
from jaxtrain.sweeps.ledger import (
    Asked,
    AskedMember,
    Row,
    append_asked,
    append_rows,
    read_asked,
    read_rows,
)

RECORD, ROWS, ASKED = "sweep.json", "sweep.jsonl", "asked.jsonl"
_BEFORE = {"config.yaml", ".lock", "optuna.db"}
"""What may be there before a sweep's record is."""

_MAY_GROW = (("sweep", "members"), ("config", "train.epochs"))
_MAY_DIFFER = (*_MAY_GROW, ("sweep", "batch"), ("config", "device"))


class SweepDirectory:
    """See the module.

    Args:
        path: where it is, or is to be.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    def record(self) -> dict[str, Any]:
        """What stands in sweep.json.

        Raises:
            ConfigError: there is none.
        """
        path = self.path / RECORD
        if not path.is_file():
            raise ConfigError(f"{self.path}: expected a sweep's directory, found no {RECORD} in it")
        return dict(json.loads(path.read_text()))

    @contextlib.contextmanager
    def held(
        self, record: Mapping[str, Any], base: ExperimentConfig
    ) -> Iterator[Callable[[], None]]:
        """Hold it alone, for the sweep that `record` tells of. What comes back writes that down.

        Args:
            record: "sweep", "config" by dotted key, and "tree", as JSON has them.
            base: the config of that, for config.yaml.

        Raises:
            ConfigError: it holds another sweep, or other files, or another process has it.
        """
        make_directory(self.path)
        with lock(self.path) as introduce:
            self._refuse_another(record)
            introduce()

            def claim() -> None:
                with replacing(self.path / RECORD) as temporary:
                    temporary.write_text(json.dumps(record, indent=1))
                dump(base, self.path / "config.yaml")

            yield claim

    def asked(self) -> list[tuple[AskedMember, ...]]:
        """The members of each batch so far.

        Raises:
            DataError: somebody has edited the file.
        """
        found = read_asked(self.path / ASKED)
        if [one.batch for one in found] != list(range(len(found))):
            raise DataError(f"{self.path / ASKED}: a batch is missing, expected all from 0 on")
        return [one.members for one in found]

    def append_asked(self, number: int, members: Sequence[AskedMember]) -> None:
        """A batch that is to be trained."""
        append_asked(self.path / ASKED, Asked(batch=number, members=tuple(members)))

    def rows(self) -> dict[int, Row]:
        """What has become of the members that are over, by number.

        Raises:
            DataError: somebody has edited the file.
        """
        return {row.member: row for row in read_rows(self.path / ROWS)}

    def append_rows(self, rows: Sequence[Row]) -> None:
        """What has become of members."""
        append_rows(self.path / ROWS, rows)

    def sizes(self, batch: int) -> list[int]:
        """How many members of each group of a batch go at once; empty before it is begun."""
        path = self._sizes(batch)
        return list(json.loads(path.read_text())) if path.exists() else []

    def keep_sizes(self, batch: int, sizes: Sequence[int]) -> None:
        """There may be less room when it is gone on with, and they go on as they are."""
        make_directory(self.path / "units")
        with replacing(self._sizes(batch)) as temporary:
            temporary.write_text(json.dumps(list(sizes)))

    def unit(self, batch: int, group: int, part: int) -> Path:
        """Where members that are trained together have their directory."""
        return self.path / "units" / f"{batch:03d}-{group:02d}-{part}"

    def history(self) -> list[dict[str, Any]]:
        """The figures of all units, epoch by epoch."""
        return [
            json.loads(line)
            for path in sorted(self.path.glob("units/*/history.jsonl"))
            for line in path.read_text().splitlines()
        ]

    def _sizes(self, batch: int) -> Path:
        return self.path / "units" / f"{batch:03d}.json"

    def _refuse_another(self, now: Mapping[str, Any]) -> None:
        """See that the sweep in the directory is this one, or this one shorter."""
        if not (self.path / RECORD).exists():
            strange = sorted(p.name for p in self.path.iterdir() if p.name not in _BEFORE)
            if strange:
                raise ConfigError(
                    f"{self.path}: expected an empty directory or a sweep's, found other files "
                    f"({strange[0]}{', …' if len(strange) > 1 else ''}); choose another one"
                )
            return
        before = self.record()
        wrong = [
            f"{key}: was {before[section].get(key)!r}, is now {now[section].get(key)!r}"
            for section in ("sweep", "config")
            for key in sorted(before[section].keys() | now[section].keys())
            if before[section].get(key) != now[section].get(key)
            and (section, key) not in _MAY_DIFFER
        ]
        if wrong:
            raise ConfigError(
                f"{self.path}: holds another sweep; more members and epochs can be asked for, "
                "and nothing else:\n  " + "\n  ".join(wrong)
            )
        for section, key in _MAY_GROW:
            if now[section][key] < before[section][key]:
                raise ConfigError(
                    f"{self.path}: {key} was {before[section][key]}, and can't become fewer; "
                    f"found {now[section][key]}"
                )
