"""Whether what stands in a run directory is the run of a config: its config.yaml, its checkpoints.

    refuse_another_run(directory / "config.yaml", vouched(checkpoints), config)

The checkpoints are the truth, and config.yaml a copy for people. One that can't be read, or that
lacks a key, keeps nobody from going on where the checkpoints say the same as the config of now; one
that says something else does, since somebody wants something else of the run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxtrain.checkpoint import Saved
from jaxtrain.config import MISSING, ExperimentConfig, load
from jaxtrain.errors import CheckpointMismatchError, ConfigError
from jaxtrain.run.deciding import differing

logger = logging.getLogger(__name__)

_SHOWN = 10

Values = dict[str, dict[str, Any]]
"""By key, what each source says, by the source."""


def refuse_another_run(record: Path, saved: Sequence[Saved], config: ExperimentConfig) -> None:
    """Compare what decides. Nothing is touched.

    Args:
        record: where config.yaml is, or would be.
        saved: checkpoints of the run.
        config: of now.

    Raises:
        ConfigError: config.yaml is of another run, or there is nothing that says what the run was.
        CheckpointMismatchError: a checkpoint is of another run.
    """
    run = record.parent
    if record.exists() and not record.is_file():
        raise ConfigError(f"{record}: expected a file, found something else")
    differences = _by_checkpoint(saved, config)
    by_checkpoints: Values = {}
    for name, found in differences.items():
        for key, old, _ in found:
            values = by_checkpoints.setdefault(key, {})
            if not any(_same(old, other) for other in values.values()):
                values[name] = old
    try:
        written = differing(load(record).to_dict(), config)
    except (ConfigError, OSError) as error:
        if not differences:
            raise ConfigError(
                f"{error}\nand there is no checkpoint to say what the run in {run} was; restore "
                "the file, or choose another workdir"
            ) from error
        written = []
    by_record = {key: {record.name: old} for key, old, _ in written}
    if differences:
        # Taken out of the file, not changed in it: the checkpoints know.
        by_record = {k: v for k, v in by_record.items() if v[record.name] is not MISSING}
    now = {key: new for found in (written, *differences.values()) for key, _, new in found}
    keys = [*by_checkpoints, *(key for key in by_record if key not in by_checkpoints)]
    if not keys:
        return
    there = {key: {**by_checkpoints.get(key, {}), **by_record.get(key, {})} for key in keys}
    lines = [f"{key}: {_told(there[key])}, {now[key]!r} now" for key in keys]
    more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    text = (
        f"{run}: holds a run with another config; continuing it would mix the two. "
        "Choose another workdir, or go back to:\n  " + "\n  ".join(lines[:_SHOWN]) + more
    )
    if by_record:
        raise ConfigError(text)
    raise CheckpointMismatchError(
        f"{text}\n{record.name} says nothing else than the config of now: either it was edited "
        "since, or the checkpoint was put there from another run"
    )


def _told(values: Mapping[str, Any]) -> str:
    """Who says what: `3 in a and b, 4 in c`."""
    told: list[tuple[Any, list[str]]] = []
    for source, value in values.items():
        for other, sources in told:
            if _same(value, other):
                sources.append(source)
                break
        else:
            told.append((value, [source]))
    return ", ".join(f"{value!r} in {' and '.join(sources)}" for value, sources in told)


def tell_of_lost_record(record: Path, config: ExperimentConfig) -> None:
    """Say in the log that config.yaml is about to be written anew, where it lacks something."""
    try:
        found = differing(load(record).to_dict(), config)
    except (ConfigError, OSError) as error:
        logger.warning("%s; it is written anew, since the checkpoints say what the run is", error)
        return
    if lost := [key for key, old, _ in found if old is MISSING]:
        logger.warning("%s: lacks %s; it is written anew", record, ", ".join(lost))


def _by_checkpoint(
    saved: Sequence[Saved], config: ExperimentConfig
) -> dict[str, list[tuple[str, Any, Any]]]:
    """What differs, checkpoint by checkpoint, the newest first; only of those with a config.

    What is no config at all is told when such a checkpoint is to be used.
    """
    found = {}
    for one in reversed(saved):
        before = one.meta.get("config")
        if isinstance(before, dict):
            with suppress(ConfigError):
                found[f"{one.path.parent.name}/{one.path.name}"] = differing(before, config)
    return found


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) is isinstance(b, bool)
