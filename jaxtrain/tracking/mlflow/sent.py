"""sync.json: what of a run is on which server; there only while that is true.

    sent = Sent.read(directory, server)
    with sent.open(): ...                   # removed before the first byte is sent,
    sent.write(directory)                   # written when all of it has arrived

So whoever finds one need not ask the server what it has, and whoever finds none asks. It may be
deleted at any time. Nothing in it decides what is a double: that the server is asked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jaxtrain.files import replacing
from jaxtrain.tracking.mlflow.server import shown
from jaxtrain.tracking.record import RunRecord

FILE_NAME = "sync.json"


@dataclass
class Sent:
    """What one server has of a run.

    Attributes:
        run_id: the server's.
        bytes: how much of metrics.jsonl.
        digest: SHA-256 of that.
        files: by their paths in the directory, size and time of change of those sent.
        extra: values on the server that are not in metrics.jsonl.
        status: of the run.
    """

    run_id: str = ""
    bytes: int = 0
    digest: str = ""
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    extra: int = 0
    status: str = ""

    @classmethod
    def read(cls, directory: Path, uri: str) -> Sent | None:
        """What is known to be on the server; None where nothing is known."""
        found = _read(directory).get(shown(uri))
        if not isinstance(found, dict):
            return None
        try:
            sent = cls(**found)
            sent.files = {str(k): (int(v[0]), int(v[1])) for k, v in sent.files.items()}
        except (TypeError, ValueError, AttributeError, IndexError, KeyError):
            return None
        right = isinstance(sent.bytes, int) and isinstance(sent.extra, int)
        texts = all(isinstance(text, str) for text in (sent.run_id, sent.digest, sent.status))
        return sent if right and texts else None

    def write(self, directory: Path, uri: str) -> None:
        """All of it is there."""
        _write(directory, {**_read(directory), shown(uri): asdict(self)})

    @staticmethod
    def forget(directory: Path, uri: str) -> None:
        """From here on nobody knows, until all of it is there."""
        known = _read(directory)
        if known.pop(shown(uri), None) is not None:
            _write(directory, known)


def is_sent(record: RunRecord, uri: str) -> bool:
    """Whether all of a run that is over is on the server; that is not asked."""
    from jaxtrain.tracking.mlflow.files import files_of, signature

    sent = Sent.read(record.path, uri)
    if sent is None or record.status == "running" or sent.status != record.status:
        return False
    rows = record.path / "metrics.jsonl"
    size = rows.stat().st_size if rows.is_file() else 0
    files = {name: signature(record.path / name) for name in files_of(record)}
    return sent.bytes == size and sent.files == files


def _read(directory: Path) -> dict[str, Any]:
    try:
        found = json.loads((directory / FILE_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(directory: Path, known: dict[str, Any]) -> None:
    with replacing(directory / FILE_NAME) as temporary:
        temporary.write_text(json.dumps(known, indent=2) + "\n")
