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
from jaxtrain.run.deciding import decides
from jaxtrain.run.resuming import refuse_other_data, refuse_other_plugins
from jaxtrain.sweeps.config import SweepConfig
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
_BEFORE = {"config.yaml", ".lock", "optuna.db", "optuna_owner.json"}
"""What may be there before a sweep's record is."""

_HOOKS_THAT_END = "early_stopping"


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
            DataError: somebody has edited it.
        """
        path = self.path / RECORD
        if not path.is_file():
            raise ConfigError(f"{self.path}: expected a sweep's directory, found no {RECORD} in it")
        try:
            found = json.loads(path.read_text())
            epochs = found["config"]["train.epochs"]
            if not (isinstance(found["tree"], dict) and isinstance(epochs, int)):
                raise TypeError("sweep, config or tree is something else")
            SweepConfig(found["sweep"])
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise DataError(f"{path}: is no record of a sweep any more: {error}") from None
        return dict(found)

    @contextlib.contextmanager
    def held(
        self, record: Mapping[str, Any], base: ExperimentConfig
    ) -> Iterator[Callable[[], None]]:
        """Hold it alone, for the sweep that `record` tells of. What comes back writes that down.

        Args:
            record: "sweep", "config" by dotted key, "tree", and of "plugins" and "data" digests, as
                JSON has them.
            base: the config of that, for config.yaml.

        Raises:
            ConfigError: it holds another sweep, or other files, or another process has it.
            CheckpointMismatchError: data or plugins are not those of before.
            DataError: somebody has edited its record.
        """
        make_directory(self.path)
        with lock(self.path) as introduce:
            self._refuse_another(record, base)
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

    def _refuse_another(self, now: Mapping[str, Any], base: ExperimentConfig) -> None:
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
        wrong = _other_sweep(before["sweep"], now["sweep"])
        wrong += _other_config(before["config"], now["config"], base)
        if wrong:
            raise ConfigError(
                f"{self.path}: holds another sweep; more members and epochs can be asked for, "
                "and nothing else:\n  " + "\n  ".join(wrong)
            )
        for section, key in (("sweep", "members"), ("config", "train.epochs")):
            if now[section][key] < before[section][key]:
                raise ConfigError(
                    f"{self.path}: {key} was {before[section][key]}, and can't become fewer; "
                    f"found {now[section][key]}"
                )
        if before.get("data") is not None and now.get("data") is not None:
            refuse_other_data(before["data"], now["data"])
        refuse_other_plugins(before.get("plugins"), now.get("plugins", {}))


def _other_sweep(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    # An earlier version's has not all keys of now: what they are by default is what was.
    before = json.loads(json.dumps(SweepConfig(was).to_json()))
    wrong = [
        f"{key}: was {before.get(key)!r}, is now {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key not in ("members", "batch")
    ]
    if not wrong and list(before["space"]) != list(now["space"]):
        # What is drawn, and which combination of a grid is the next, goes by the order.
        wrong.append(f"space: its keys were in the order {', '.join(before['space'])}")
    return wrong


def _other_config(
    was: Mapping[str, Any], now: Mapping[str, Any], base: ExperimentConfig
) -> list[str]:
    """A key that `was` does not have has come since, but for hooks: those have no defaults."""

    def counts(key: str) -> bool:
        first, _, rest = key.partition(".")
        hook = base.hooks.get(rest.partition(".")[0]) if first == "hooks" else None
        if hook is not None and hook.name == _HOOKS_THAT_END:
            return True
        if first == "hooks" and hook is None:
            return was.get(f"hooks.{rest.partition('.')[0]}.name") == _HOOKS_THAT_END
        return key.startswith("checkpoint.mo") or decides(key, base)

    return [
        f"{key}: was {was.get(key)!r}, is now {now.get(key)!r}"
        for key in sorted(was.keys() | now.keys())
        # A section that was null has keys now.
        if (was.get(key) != now.get(key) or key not in now)
        and (key in was or key.startswith("hooks."))
        and key not in ("train.epochs", "device")
        and counts(key)
    ]
