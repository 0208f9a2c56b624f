"""The first checkpoint that is sound, and what becomes of the bad ones before it.

saved, faults = first_sound(directory, committed(directory)[::-1])      # nothing is moved
set_all_aside(directory, faults)
saved = soundest(directory, committed(directory)[::-1])                 # both
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxtrain.checkpoint.saved import BAD, Saved
from jaxtrain.checkpoint.verifier import Verifier
from jaxtrain.errors import CheckpointError

logger = logging.getLogger(__name__)

Faults = Mapping[Path, str]
"""What is wrong with each of the bad ones."""


def first_sound(directory: Path, candidates: Sequence[Path]) -> tuple[Saved | None, Faults]:
    """The first of `candidates` that passes its digests, and the bad ones before it.

    Raises:
        CheckpointError: where there are checkpoints, or were, but none that can be used.
    """
    faults: dict[Path, str] = {}
    verifier = Verifier()
    for path in candidates:
        try:
            return verifier.verify_commit(path), faults
        except CheckpointError as error:
            faults[path] = str(error)
    aside = [str(path) for path in directory.glob(f"{BAD}/*")]
    if faults or aside:
        raise CheckpointError(
            "every checkpoint is bad; not starting over from step 0 (for that, choose another "
            "directory, or delete them):\n  " + "\n  ".join([*faults.values(), *aside])
        )
    return None, {}


def soundest(directory: Path, candidates: Sequence[Path]) -> Saved | None:
    """The first of `candidates` that passes its digests; the ones before it are set aside.

    Raises:
        CheckpointError: where there are checkpoints, or were, but none that can be used; they stay
            where they are.
    """
    found, faults = first_sound(directory, candidates)
    set_all_aside(directory, faults)
    return found


def set_all_aside(directory: Path, faults: Faults) -> None:
    """Move the bad checkpoints of `directory` out of the way."""
    for path, fault in faults.items():
        set_aside(path, directory / BAD / path.name, fault)


def set_aside(path: Path, target: Path, reason: str) -> None:
    """Move what is damaged to `target`, or beside that, where something of the name is there."""
    bad = target.parent
    if bad.is_symlink():
        raise CheckpointError(f"{bad}: is a symbolic link; expected a directory")
    bad.mkdir(exist_ok=True)
    serial, free = 0, target
    while os.path.lexists(free):
        serial += 1
        free = target.with_name(f"{target.name}.{serial}")
    os.rename(path, free)
    logger.warning("%s; set aside as %s", reason, free)
