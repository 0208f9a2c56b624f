"""Checkpoint: saves the run so that it can be continued exactly where it stood.

    store = CheckpointStore(directory / "checkpoints")
    trainer.attach(Checkpoint(store, loader))
    ...
    resume(trainer, store.latest(), store)      # in another process, before trainer.run

A loader says where in the data a run stands; a list or a generator can't. `Checkpoint(store, None)`
saves without that place, and the run goes on without it.

What a TrainState holds as `frozen` is written once for all checkpoints that have it in common.

A save is taken when all handlers of its event have run, whatever their order: what they made of
the event is in it, and a resumed run does not fire the event again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from jaxtrain.checkpoint import CheckpointStore, RunMeta, Saved, named_leaves
from jaxtrain.data import Cursor
from jaxtrain.engine import Engine, Events
from jaxtrain.engine.batches import PlainIterable, as_loader
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    JaxtrainError,
    did_you_mean,
)
from jaxtrain.hooks.registry import EPOCH_METRICS
from jaxtrain.hooks.rows import epoch_figures

logger = logging.getLogger(__name__)


class Checkpoint:
    """Saves at epoch ends, every so many iterations, on interruption and at the end.

    Besides, an epoch whose monitored metric is among the best that the store keeps (`keep_best`) is
    saved whatever the periods are.

    Args:
        store: where to.
        loader: the one that is trained on: the place in it is saved, too. None saves no place; a
            run that is taken up there gets other batches than it would have had.
        describe: further JSON values for every checkpoint's meta: config, versions.
        every_epochs: epochs between two saves.
        every: iterations between two saves, besides those.
    """

    def __init__(
        self,
        store: CheckpointStore,
        loader: Any,
        *,
        describe: Mapping[str, Any] | None = None,
        every_epochs: int = 1,
        every: int | None = None,
    ) -> None:
        self.store = store
        self._loader = loader
        self._describe = dict(describe or {})
        self._every_epochs = every_epochs
        self._every = every
        self._last: dict[str, Any] | None = None
        self._told = False

    def attach(self, engine: Engine) -> None:
        """Subscribe to the events named above.

        Raises:
            ConfigError: the loader has no places that could be saved.
        """
        _refuse_placeless(self._loader)
        if self._every is not None:
            engine.attach_handler(Events.ITERATION_COMPLETED(every=self._every), self._save_at_rest)
        engine.attach_handler(Events.INTERRUPT | Events.COMPLETED, self._save_and_wait)
        engine.attach_handler(Events.EXCEPTION_RAISED, self._wait)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._end_epoch, needs=(EPOCH_METRICS,))

    def _end_epoch(self, engine: Engine) -> None:
        self._miss_monitor(engine)
        due = engine.state.epoch % self._every_epochs == 0
        if due or self.store.improves(epoch_figures(engine)):
            self._save_at_rest(engine)

    def _miss_monitor(self, engine: Engine) -> None:
        """Without its metric the store has no best checkpoint, and keeps the newest alone."""
        known, name = engine.state.metrics, self.store.monitor
        if not self._told and known and name not in known and engine.state.epoch == 1:
            self._told = True
            logger.warning(
                "Checkpoint: no metric is called %r%s (this run has: %s); so no checkpoint is the "
                "best one, and the newest are kept. CheckpointStore(monitor=...) names it",
                name,
                did_you_mean(name, known),
                ", ".join(sorted(known)),
            )

    def _save_at_rest(self, engine: Engine) -> None:
        engine.when_at_rest(lambda: self.save(engine))

    def _save_and_wait(self, engine: Engine) -> None:
        """The run is left, and perhaps the process: a save in the background would end with it."""
        self._save_at_rest(engine)
        engine.when_at_rest(self.store.wait)

    def _wait(self, *_: object) -> None:
        try:
            self.store.wait()
        except CheckpointError as second:  # the exception that is on its way is the one to raise
            logger.error("%s", second)

    def save(self, engine: Engine) -> None:
        """Save now, unless nothing happened since the last save.

        After a step that was not finite nothing is saved: the checkpoint before it is what the
        run can be continued from.
        """
        arrays, record = engine.snapshot()
        if _place(record) == self._last or _went_wrong(engine):
            return
        if self._loader is not None and record["cursor"] is None and engine.state.iteration:
            raise ConfigError(
                "Checkpoint: the run does not go over the loader that this hook was given, but "
                "over an iterable without places; run over the loader, or give loader=None"
            )
        self.note_saved(record)
        meta = {
            **self._describe,
            "epoch": engine.state.epoch,
            # Those of an epoch that is over: figures of the one before say nothing about a state
            # in the middle of this one, which must not pass for the best.
            "metrics": {} if engine.state.epoch_open else epoch_figures(engine),
            "engine": record,
        }
        if self._loader is None:
            meta["engine"] = {**record, "cursor": None}
        else:
            meta["fingerprint"] = self._loader.fingerprint()
        self.store.save(
            arrays, iteration=engine.state.iteration, meta=meta, shared=_unchanging(arrays)
        )
        engine.fire(Events.CHECKPOINT_SAVED)

    def describe(self, **more: Any) -> None:
        """Let every later checkpoint's meta say this, too: JSON values by key."""
        self._describe |= more

    def note_saved(self, record: Mapping[str, Any]) -> None:
        """Know that the run stands where this record of a checkpoint says: it is saved."""
        self._last = _place(record)

    def refuse_other_data(self, cursor: Cursor | None) -> None:
        """Raise a CheckpointMismatchError where `cursor` is none of this hook's loader."""
        if self._loader is None or cursor is None:
            return
        try:
            close = getattr(self._loader.batches(cursor), "close", lambda: None)
        except JaxtrainError:
            raise
        # A loader may be anybody's, and raise anything over what is no place of its.
        except Exception as error:
            raise CheckpointMismatchError(
                f"the saved place in the data is none of a {type(self._loader).__name__}: "
                f"{type(error).__name__}: {error}"
            ) from error
        close()


def _went_wrong(engine: Engine) -> bool:
    """Whether a step was not finite. Of a population a member says so, and the others go on."""
    return engine.members is None and engine.first_nonfinite() is not None


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    """Where the run stands. That it was interrupted there makes no other place of it."""
    place = dict(record["counters"])
    return place | {"stopped": ""} if place["stopped"] == "interrupt" else place


def _unchanging(arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """The part of a snapshot that no step changes, where the TrainState has one."""
    frozen = getattr(arrays["train_state"], "frozen", None)
    within = "train_state/frozen"
    names = named_leaves({"train_state": arrays["train_state"]}) if frozen is not None else {}
    return (within,) if any(n == within or n.startswith(f"{within}/") for n in names) else ()


def _refuse_placeless(loader: Any) -> None:
    """Check that a place in `loader` can be saved and gone back to, or that there is to be none."""
    if loader is not None and isinstance(as_loader(loader), PlainIterable):
        raise ConfigError(
            f"Checkpoint: expected a loader, found a {type(loader).__name__}, which does not say "
            "where in the data a run stands. Take an ArrayLoader or a GrainLoader, or give yours "
            "what jaxtrain.data.Loader lists; loader=None saves without a place in the data"
        )


def refuse_unfit(engine: Engine, saved: Saved, store: CheckpointStore) -> RunMeta:
    """See that `resume` would find what it expects; nothing is taken up, and no array is read.

    Args:
        engine: made like the one that was saved.
        saved: which checkpoint.
        store: where it is.

    Returns:
        What the checkpoint says of its run.

    Raises:
        CheckpointMismatchError: another model or optimizer, every difference listed; or the loader
            of the engine's Checkpoint hook has other data.
        CheckpointError: the checkpoint can't be read, or is none of a run.
    """
    said = RunMeta.of(saved)
    template, _ = engine.snapshot()
    store.compare(saved, template)
    for hook in _own(engine):
        hook.refuse_other_data(said.engine["cursor"])
    return said


def resume(engine: Engine, saved: Saved, store: CheckpointStore) -> None:
    """Put engine and hooks where they were when `saved` was taken; the next run goes on there.

    The place in the data is the engine's, and part of the checkpoint.

    Args:
        engine: made like the one that was saved; it has not run yet.
        saved: which checkpoint.
        store: where it is.

    Raises:
        CheckpointMismatchError: another model or optimizer, every difference listed; or the loader
            of the engine's Checkpoint hook has other data. Nothing was taken up then.
        CheckpointError: the checkpoint can't be read, or is none of a run; or a hook can't take up
            what was saved of it.
    """
    template, _ = engine.snapshot()
    record = RunMeta.of(saved).engine
    arrays, _ = store.load(saved, template)
    own = _own(engine)
    for hook in own:
        hook.refuse_other_data(record["cursor"])
    if record["cursor"] is None and record["counters"]["iteration"]:
        logger.warning(
            "%s: it was saved without a place in the data; the run goes on with whatever batches "
            "come first: not bit-exact",
            saved.path,
        )
    try:
        engine.restore(arrays, record)
    except CheckpointError as error:
        raise CheckpointError(f"{saved.path / 'meta.json'}: engine.{error}") from error
    for hook in own:
        hook.note_saved(record)


def _own(engine: Engine) -> list[Checkpoint]:
    return [hook for hook in engine.hooks.values() if isinstance(hook, Checkpoint)]
