"""Going on: the checkpoint that a run directory holds, and what stands in the way of using it.

    refuse_unwanted(directory, "must")
    standing = look(trainer, store, "must")         # nothing is moved, nothing taken up
    refuse_other_data(standing.said.data, data.fingerprints())
    refuse_other_plugins(standing.said.plugins, plugins, allowed=False)
    warn_of_other_conditions(standing)
    warn_of_other_weights(standing, model.digests)

What would make another run of it is refused; what may only change its last bits is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from jaxtrain.checkpoint import CheckpointStore, RunMeta, Saved, environment
from jaxtrain.data import Loader
from jaxtrain.data.ordered_loader import OrderedLoader
from jaxtrain.engine import Engine
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    DataError,
    DataNotFoundError,
)
from jaxtrain.hooks import refuse_unfit
from jaxtrain.run.directory import RunDirectory

logger = logging.getLogger(__name__)

Resume: TypeAlias = Literal["auto", "must", "never"]
"""Whether there may be a run in the directory, must be one, or must not be one."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands: its newest good checkpoint, and what it says; the bad ones behind it."""

    saved: Saved | None = None
    said: RunMeta | None = None
    faults: Mapping[Path, str] = field(default_factory=dict)


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


def look(
    directory: RunDirectory,
    store: CheckpointStore,
    trainer: Engine,
    *,
    resume: Resume,
    epochs: int,
    loader: Loader,
) -> Standing:
    """The newest good checkpoint, which the trainer could take up. Nothing is touched.

    Args:
        directory: of the run.
        store: its checkpoints.
        trainer: made for the run.
        resume: "must" where there has to be one.
        epochs: how long the run is to be.
        loader: what it reads.

    Returns:
        A standing without a checkpoint where the run has just begun.

    Raises:
        CheckpointError: there was a run, and it has no checkpoint any more, or none that is good;
            or what it says of itself is not what it must be.
        CheckpointMismatchError: it is of another model, optimizer or loader.
    """
    saved, faults = store.look()
    if saved is None:
        if resume == "must" or (directory / "metrics.json").exists():
            raise CheckpointError(
                f"{store.directory}: the run in {directory.path} has no checkpoint any more; "
                "not starting over from step 0. Choose another workdir to begin anew"
            )
        return Standing()
    said = refuse_unfit(trainer, saved, store)
    where, counters = f"{saved.path / 'meta.json'}: engine", said.engine["counters"]
    steps = loader.steps_per_epoch
    if counters["epoch"] > epochs or counters["epoch_length"] not in (None, steps):
        raise CheckpointMismatchError(
            f"{where}.counters: stands in epoch {counters['epoch']}, of epochs of "
            f"{counters['epoch_length']} iterations; this run has {epochs} epochs of {steps}"
        )
    if said.engine["cursor"] is not None and isinstance(loader, OrderedLoader):
        epoch, batch = loader.position(said.engine["cursor"])
        # A step, or one that was left out, takes a batch; nothing else does.
        if epoch * steps + batch != said.iteration:
            raise CheckpointMismatchError(
                f"{where}.cursor: stands before batch {batch} of epoch {epoch}, from 0 each, which "
                f"is none of {said.iteration} batches of {steps} an epoch"
            )
    return Standing(saved, said, faults)


def warn_of_other_conditions(standing: Standing) -> None:
    """Say in the log which versions or settings are not those of the checkpoint."""
    changed = environment.changes(standing.said.environment) if standing.said else []
    if standing.saved is not None and changed:
        logger.warning(
            "resuming under other conditions than those of %s; the continuation is not "
            "bit-exact:\n  %s",
            standing.saved.path,
            "\n  ".join(changed),
        )


def warn_of_other_weights(
    standing: Standing, digests: Callable[[], Mapping[str, str]] | None
) -> None:
    """Say in the log that the files that the run began with are others now.

    Files that are gone are not missed, and nothing is told.

    Args:
        standing: of the run.
        digests: of those that are there now, by name; None where the model has no files.
    """
    before = standing.said.weights if standing.said else {}
    if not before or digests is None:
        return
    try:
        now = digests()
    except DataNotFoundError:
        return
    except (ConfigError, DataError) as error:
        other = [f"they can't be read: {error}"]
    else:
        other = [
            f"{name}: "
            + ", ".join(
                f"sha256 {those[name][:12]}… {when}" if name in those else f"none {when}"
                for those, when in ((before, "then"), (now, "now"))
            )
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
    if other:
        logger.warning(
            "%s: goes on with what it began with; the files of model.weights are others now. To "
            "begin with these, choose another workdir:\n  %s",
            standing.saved.path if standing.saved else "the run",
            "\n  ".join(other),
        )


def refuse_other_plugins(
    before: Mapping[str, str] | None, now: Mapping[str, str], *, allowed: bool = False
) -> None:
    """See that the plugins are those that a checkpoint was made with.

    Args:
        before: their digests then; None where nobody noted them.
        now: the digests of those that are imported.
        allowed: warn instead.

    Raises:
        CheckpointMismatchError: naming each that was changed, and what to do.
    """
    if before is None:
        return
    lines = []
    for target in sorted(before.keys() | now.keys()):
        if before.get(target) != now.get(target):
            then, here = (
                f"sha256 {digests[target][:12]}…" if target in digests else "not imported"
                for digests in (before, now)
            )
            lines.append(f"{target}: {then} when the checkpoint was saved, {here} now")
    if not lines:
        return
    found = "plugins are not what the run was made with:\n  " + "\n  ".join(lines)
    if allowed:
        logger.warning("%s\ngoing on all the same: from here it is another run", found)
        return
    raise CheckpointMismatchError(
        f"{found}\nput them back as they were, or choose another workdir. To go on with them as "
        "they are: allow_changed_plugins (--allow-changed-plugins)"
    )


def refuse_other_data(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """See that a checkpoint is about the same data.

    Args:
        before: the fingerprints that the checkpoint names.
        now: the fingerprints of the data, set by set (`RunData.fingerprints`).

    Raises:
        CheckpointMismatchError: with both fingerprints of each set that is another.
    """
    other = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
    if other:
        raise CheckpointMismatchError(
            f"the {' and '.join(other)} data are not those that the run was begun with\n"
            + "\n".join(f"  {n}: saved: {before.get(n)}\n  {n}: now: {now.get(n)}" for n in other)
            + "\nrestore the data and options, or begin a new run with --workdir DIR"
        )
