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
from jaxtrain.checkpoint.together import ALONE, Together
from jaxtrain.checkpoint.verifier import Verifier
from jaxtrain.errors import CheckpointError

logger = logging.getLogger(__name__)

Faults = Mapping[Path, str]
"""What is wrong with each of the bad ones."""


def first_sound(
    directory: Path, candidates: Sequence[Path], together: Together = ALONE
) -> tuple[Saved | None, Faults]:
    """The first of `candidates` that passes its digests, and the bad ones before it.

    Several processes compare a share of the contents each, and what one of them has found counts
    for all. The candidates are those of process 0.

    Raises:
        CheckpointError: where there are checkpoints, or were, but none that can be used.
    """
    faults: dict[Path, str] = {}
    verifier = Verifier((together.own, together.count))
    names, aside = together.share(
        "look", lambda: [[p.name for p in candidates], [p.name for p in directory.glob(f"{BAD}/*")]]
    )[0]
    for path in (directory / name for name in names):
        saved, fault = verifier.judge(path)
        if fault := together.agreed_fault("look/fault", fault):
            faults[path] = fault
        elif saved is not None:
            return saved, faults
    if faults or aside:
        left = [str(directory / BAD / name) for name in aside]
        raise CheckpointError(
            "every checkpoint is bad; not starting over from step 0 (for that, choose another "
            "directory, or delete them):\n  " + "\n  ".join([*faults.values(), *left])
        )
    return None, {}


def soundest(
    directory: Path, candidates: Sequence[Path], together: Together = ALONE
) -> Saved | None:
    """The first of `candidates` that passes its digests; the ones before it are set aside.

    Raises:
        CheckpointError: where there are checkpoints, or were, but none that can be used; they stay
            where they are.
    """
    found, faults = first_sound(directory, candidates, together)
    set_all_aside(directory, faults, together)
    return found


def set_all_aside(directory: Path, faults: Faults, together: Together = ALONE) -> None:
    """Move the bad checkpoints of `directory` out of the way; process 0 does."""

    def move() -> None:
        for path, fault in faults.items():
            if together.first:
                set_aside(path, directory / BAD / path.name, fault)

    together.do("set_aside", move)


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
