"""The directory of a run: what belongs to it, and whether a config may continue it.

    directory = RunDirectory.of(config)          # runs/<project>/<run id>, or config.workdir
    with directory.held(config):                 # made, or found to hold the same run; locked
        directory / "metrics.json"

A run id is made of the seed and a digest of everything that decides the run's figures. So the same
command finds its own directory again and continues, and another command gets another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxtrain.checkpoint import environment
from jaxtrain.config import (
    MISSING,
    ExperimentConfig,
    diff,
    dump,
    load,
    non_defaults,
    to_dict,
)
from jaxtrain.errors import ConfigError
from jaxtrain.files.atomic import UNFINISHED, replacing
from jaxtrain.files.lock import NAME as LOCK
from jaxtrain.files.lock import lock
from jaxtrain.files.names import inside, refuse_links
from jaxtrain.files.paths import typed_directory

# What may change between two sittings of one run: none of it has a part in the figures.
_FREE = {
    "workdir",
    "project",
    "device",
    "hooks",
    "checkpoint.every",
    "checkpoint.every_epochs",
    "checkpoint.keep",
    "checkpoint.asynchronous",
    "data.root",
    "data.download",
    "data.mirror",
    "data.prefetch",
}
_SHOWN = 10


class RunDirectory:
    """A run's directory.

    Args:
        path: need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._held = False

    @classmethod
    def of(cls, config: ExperimentConfig) -> RunDirectory:
        """`config.workdir`, or `runs/<project>/<run id>` below the current directory.

        Raises:
            ConfigError: there can be no directory of that name.
        """
        if config.workdir is not None:
            return cls(typed_directory(config.workdir, what="workdir"))
        return cls(inside(Path("runs"), config.project, run_id(config)))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    @property
    def is_held(self) -> bool:
        """Whether this very object is inside of `held`, so that its user may write."""
        return self._held

    def holds_a_run(self) -> bool:
        """Whether a run was begun here."""
        return (self / "config.yaml").exists()

    @contextlib.contextmanager
    def held(self, config: ExperimentConfig) -> Iterator[None]:
        """Make the directory and write `config.yaml`, or check that the run in it is this one.

        For as long as the context lasts, no other process can have it.

        Raises:
            ConfigError: the directory holds something else, or another run, each difference that
                matters listed; or another process has it. Nothing was changed then.
        """
        self.refuse_others(config)
        self.path.mkdir(parents=True, exist_ok=True)
        with lock(self.path):
            self.refuse_others(config)  # somebody may have come in between
            for left in self.path.glob(UNFINISHED):  # by a kill; nobody else writes here now
                left.unlink()
            dump(config, self / "config.yaml")
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def refuse_others(self, config: ExperimentConfig) -> None:
        """See that the directory is empty, not there yet, or this run's; nothing is touched.

        Raises:
            ConfigError: it holds something else, or another run, each difference listed.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ConfigError(f"{self.path}: expected a directory, found a file")
        if self.holds_a_run():
            refuse_links(self.path)
            self._refuse_another(config)
        elif not all(p.name == LOCK or p.match(UNFINISHED) for p in self.path.iterdir()):
            raise ConfigError(
                f"{self.path}: expected an empty directory or a run's, found other files; choose "
                "another workdir"
            )

    def _refuse_another(self, config: ExperimentConfig) -> None:
        saved = _deciding(load(self / "config.yaml").to_dict())
        told = {key for key, _, _ in non_defaults(config)}
        lines = []
        for key, old, new in diff(saved, _deciding(to_dict(config))):
            # A key that the saved config does not know has come since; its default is what was.
            is_new = old is MISSING and not any(f"{t}.".startswith(f"{key}.") for t in told)
            # Where no schedule is stretched by it, a run may simply get longer.
            longer = key == "train.epochs" and config.schedule.name == "constant" and new >= old
            if not (is_new or longer):
                lines.append(f"{key}: {old!r} there, {new!r} now")
        if lines:
            more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
            raise ConfigError(
                f"{self.path}: holds a run with another config; continuing it would mix the two. "
                "Choose another workdir, or go back to:\n  " + "\n  ".join(lines[:_SHOWN]) + more
            )

    def write_metadata(self, config: ExperimentConfig, status: str, **more: Any) -> None:
        """Write `metadata.json`: who, where, with which versions, and how it ended.

        Args:
            config: the effective config.
            status: "running", "completed", "interrupted" or "failed: …".
            more: further JSON values, such as fingerprints.
        """
        record = {
            "status": status,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "git_revision": _git_revision(),
            "seed": config.seed,
            "environment": environment.current(),
            "config": to_dict(config),
            **more,
        }
        with replacing(self / "metadata.json") as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")


def run_id(config: ExperimentConfig) -> str:
    """`seed<seed>-<digest>`; the digest covers what decides the figures and is no default."""
    told = {key: value for key, _, value in non_defaults(config) if not _is_free(key)}
    text = json.dumps(told, sort_keys=True, default=repr)
    return f"seed{config.seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _is_free(key: str) -> bool:
    """Whether a dotted key, or a section around it, is free to change."""
    parts = key.split(".")
    return any(".".join(parts[:depth]) in _FREE for depth in range(1, len(parts) + 1))


def _deciding(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The config without what is free to change."""
    return {
        key: _deciding(value, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in config.items()
        if prefix + key not in _FREE
    }


def _git_revision() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
