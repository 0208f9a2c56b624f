"""The first checkpoint that is sound, and what becomes of the bad ones before it.

saved = soundest(directory, committed(directory)[::-1])      # the newest that can be used
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from jaxtrain.checkpoint.saved import BAD, Saved
from jaxtrain.checkpoint.verifier import Verifier
from jaxtrain.errors import CheckpointError

logger = logging.getLogger(__name__)


def soundest(directory: Path, candidates: Sequence[Path]) -> Saved | None:
    """The first of `candidates` that passes its digests; the ones before it are set aside.

    Raises:
        CheckpointError: where there are checkpoints, or were, but none that can be used; they stay
            where they are.
    """
    faults: dict[Path, str] = {}
    verifier = Verifier()
    for path in candidates:
        try:
            found = verifier.verify(path)
        except CheckpointError as error:
            faults[path] = str(error)
            continue
        for bad, fault in faults.items():
            set_aside(bad, directory / BAD / bad.name, fault)
        return found
    aside = [str(path) for path in directory.glob(f"{BAD}/*")]
    if faults or aside:
        raise CheckpointError(
            "every checkpoint is bad; not starting over from step 0 (for that, choose another "
            "directory, or delete them):\n  " + "\n  ".join([*faults.values(), *aside])
        )
    return None


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
