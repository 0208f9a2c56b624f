"""metadata.json: who made a run, where, with which versions, and how it ended."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxtrain.errors import TrackingError
from jaxtrain.files import replacing


def write_metadata(
    directory: Path,
    status: str,
    *,
    project: str,
    config: Mapping[str, Any],
    tags: Iterable[str] = (),
    **more: Any,
) -> None:
    """Write `metadata.json`, whole or not at all.

    `started` and `uid` stay what they were when the run was begun, however often it goes on.

    Args:
        directory: of the run.
        status: "running", "completed", "interrupted" or "failed: …".
        project: what it belongs to.
        config: nested dicts of JSON values.
        tags: for finding it again.
        more: further JSON values, such as fingerprints and what the model has decided.

    Raises:
        TrackingError: a value is none that JSON has.
    """
    # Here, since who only reads runs needs neither JAX nor the seconds that it takes.
    from jaxtrain.checkpoint import environment

    file = directory / "metadata.json"
    now = datetime.now(UTC)
    record = {
        "status": status,
        "uid": _kept(file, "uid") or secrets.token_hex(8),
        "started": _kept(file, "started") or now.isoformat(timespec="microseconds"),
        "time": now.isoformat(timespec="seconds"),
        "project": project,
        "tags": list(tags),
        "command": sys.argv,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "git_revision": git_revision(),
        "environment": environment.current(),
        **more,
        "config": config,
    }
    try:
        text = json.dumps(record, indent=2)
    except (TypeError, ValueError) as error:
        raise TrackingError(f"{file}: {error}") from None
    with replacing(file) as temporary:
        temporary.write_text(text + "\n")


def git_revision() -> str | None:
    """The commit that the current directory is at; None where there is none, or no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _kept(file: Path, name: str) -> str | None:
    """What the run's metadata.json has said until now; None where it says nothing."""
    try:
        found = json.loads(file.read_bytes())[name]
        if name == "started":
            datetime.fromisoformat(found)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None
