"""Going on: the checkpoint that a run directory holds, and what stands in the way of using it.

    refuse_unwanted(directory, "must")
    saved = newest(directory, store, "must")
    refuse_other_data(saved, data.fingerprints())
    warn_of_other_conditions(saved)

What would make another run of it is refused; what may only change its last bits is told.
"""

from __future__ import annotations

import logging
from typing import Literal, TypeAlias

from jaxtrain.checkpoint import CheckpointStore, Saved, environment
from jaxtrain.errors import CheckpointError, CheckpointMismatchError, ConfigError
from jaxtrain.run.directory import RunDirectory

logger = logging.getLogger(__name__)

Resume: TypeAlias = Literal["auto", "must", "never"]
"""Whether there may be a run in the directory, must be one, or must not be one."""


def refuse_unwanted(directory: RunDirectory, resume: Resume) -> None:
    """See that there is a run in the directory, or none, where that matters.

    Raises:
        ConfigError: it is not so.
    """
    there = directory.holds_a_run()
    if resume == "must" and not there:
        raise ConfigError(f"resume 'must': {directory.path} holds no run to continue")
    if resume == "never" and there:
        raise ConfigError(f"resume 'never': {directory.path} holds a run; choose another workdir")


def newest(directory: RunDirectory, store: CheckpointStore, resume: Resume) -> Saved | None:
    """The newest good checkpoint, or None where the run has just begun.

    Raises:
        CheckpointError: there was a run, and it has no checkpoint any more, or none that is good.
    """
    saved = store.latest()
    if saved is None and (resume == "must" or (directory / "metrics.json").exists()):
        raise CheckpointError(
            f"{store.directory}: the run in {directory.path} has no checkpoint any more; "
            "not starting over from step 0. Choose another workdir to begin anew"
        )
    return saved


def warn_of_other_conditions(saved: Saved) -> None:
    """Say in the log which versions or settings are not those of the checkpoint."""
    changed = environment.changes(saved.meta.get("environment", {}))
    if changed:
        logger.warning(
            "resuming under other conditions than those of %s; the continuation is not "
            "bit-exact:\n  %s",
            saved.path,
            "\n  ".join(changed),
        )


def refuse_other_data(saved: Saved, now: dict[str, str]) -> None:
    """See that a checkpoint is about the same data.

    Args:
        saved: the checkpoint.
        now: the fingerprints of the data, set by set (`RunData.fingerprints`).

    Raises:
        CheckpointMismatchError: with both fingerprints of each set that is another.
    """
    before = saved.meta.get("data", {})
    other = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
    if other:
        raise CheckpointMismatchError(
            f"the {' and '.join(other)} data are not those that the run was begun with\n"
            + "\n".join(f"  {n}: saved: {before.get(n)}\n  {n}: now: {now.get(n)}" for n in other)
            + "\nrestore the data and options, or start a new run with another workdir"
        )
