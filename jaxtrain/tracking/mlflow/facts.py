"""What a run is, in MLflow's terms: its key, params, tags, status and times.

key_of(record)                                # 32 hex digits, wherever its directory lies
params, cut = params_of(record)               # {"optimizer.name": "adamw", ...}
tags_of(record)                               # {"jaxtrain.run": "digits/first", ...}
ending_of(record)                             # "FINISHED", 1764448800000
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from jaxtrain.tracking.mlflow.names import PARAM, TAG, metric_name, plain_text
from jaxtrain.tracking.record import RunRecord

KEY_TAG = "jaxtrain.key"
"""The tag by which a run is found again."""

_STATUS = {"running": "RUNNING", "completed": "FINISHED", "failed": "FAILED"}


def key_of(record: RunRecord) -> str:
    """What tells this run from all others: the number that it got when it was begun.

    The same config run on two machines has one id, and is two runs. A directory that is moved or
    copied stays the same run. Of one of an earlier version, without a number, it is its name.
    """
    uid = record.metadata.get("uid")
    told = json.dumps([record.project, record.id] if uid is None else uid)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def params_of(record: RunRecord) -> tuple[dict[str, str], list[str]]:
    """The config, flattened, and the names of the values that are too long and were cut.

    Lists are JSON. A key with a point in it, or one that MLflow does not take, gets a digest behind
    it, so that `{"a.b": 1, "a": {"b": 2}}` is two params.
    """
    found, cut = {}, []
    for path, value in _leaves(record.config):
        key = plain_text(".".join(path))
        unclear = any("." in part or not part for part in path)
        key = metric_name(key, json.dumps(path) if unclear else None)
        text = plain_text(value if isinstance(value, str) else json.dumps(value))
        if len(text) > PARAM:
            text = text[: PARAM - 1] + "…"
            cut.append(key)
        found[key] = text
    return found, cut


def tags_of(record: RunRecord) -> dict[str, str]:
    """Tags: what the run calls itself, its own tags as a JSON list, and where it comes from."""
    said = record.metadata
    own = list(record.tags)
    while len(plain_text(json.dumps(own, ensure_ascii=False))) > TAG:
        own.pop()
    tags = {
        KEY_TAG: key_of(record),
        "jaxtrain.run": f"{record.project}/{record.id}",
        "jaxtrain.status": record.status,
        "jaxtrain.tags": json.dumps(own, ensure_ascii=False),
    }
    for name, key in (("host", "jaxtrain.host"), ("git_revision", "mlflow.source.git.commit")):
        if isinstance(said.get(name), str):
            tags[key] = said[name]
    return {key: plain_text(value)[:TAG] for key, value in tags.items()}


def cut_tags(record: RunRecord) -> int:
    """How many of the run's own tags there is no room for."""
    return len(record.tags) - len(json.loads(tags_of(record)["jaxtrain.tags"]))


def began_of(record: RunRecord) -> int:
    """When it was begun, in milliseconds since 1970; where it does not say so, when it was written
    down last.
    """
    return _milliseconds(record.metadata.get("started")) or _written(record)


def ending_of(record: RunRecord) -> tuple[str, int | None]:
    """MLflow's status, and when the run ended, in milliseconds; None for one that goes on.

    "interrupted" and "killed", which may go on, are KILLED, and `jaxtrain.status` says which. A
    killed one ended, as far as anybody knows, when it wrote its last row.
    """
    status = _STATUS.get(record.status.partition(":")[0], "KILLED")
    if status == "RUNNING":
        return status, None
    file = record.path / "metrics.jsonl"
    end = _written(record)
    if record.status == "killed" and file.is_file():
        end = int(file.stat().st_mtime * 1000)
    return status, max(end, began_of(record))  # `time` is in whole seconds, `started` is not


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and (value or not path):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path, value


def _milliseconds(said: Any) -> int | None:
    """Of a time in ISO 8601; None where it is none."""
    try:
        time = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _written(record: RunRecord) -> int:
    said = _milliseconds(record.metadata.get("time"))
    return said or int((record.path / "metadata.json").stat().st_mtime * 1000)
