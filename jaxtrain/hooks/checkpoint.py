"""Checkpoint: saves the run so that it can be continued exactly where it stood.

    store = CheckpointStore(directory / "checkpoints")
    trainer.attach(Checkpoint(store, loader))
    ...
    resume(trainer, loader, store.latest(), store)      # in another process, before trainer.run

A save is taken when all handlers of its event have run, whatever their order: what they made of
the event is in it, and a resumed run does not fire the event again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtrain.checkpoint import CheckpointStore, Saved
from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import EPOCH_METRICS
from jaxtrain.hooks.rows import epoch_figures


class Checkpoint:
    """Saves at epoch ends, every so many iterations, on interruption and at the end.

    Besides, an epoch whose monitored metric is the best so far is saved whatever the periods are.

    Args:
        store: where to.
        loader: its cursor is saved, too.
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

    def attach(self, engine: Engine) -> None:
        """Subscribe to the events named above."""
        moments = Events.INTERRUPT | Events.COMPLETED
        if self._every is not None:
            moments |= Events.ITERATION_COMPLETED(every=self._every)
        engine.attach_handler(moments, self._save_at_rest)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._end_epoch, needs=(EPOCH_METRICS,))

    def _end_epoch(self, engine: Engine) -> None:
        due = engine.state.epoch % self._every_epochs == 0
        if due or self.store.improves(epoch_figures(engine)):
            self._save_at_rest(engine)

    def _save_at_rest(self, engine: Engine) -> None:
        engine.when_at_rest(lambda: self.save(engine))

    def save(self, engine: Engine) -> None:
        """Save now, unless nothing happened since the last save.

        After a step that was not finite nothing is saved: the checkpoint before it is what the
        run can be continued from.
        """
        arrays, record = engine.snapshot()
        if _place(record) == self._last or engine.first_nonfinite() is not None:
            return
        self.note_saved(record)
        meta = {
            **self._describe,
            "epoch": engine.state.epoch,
            # Those of an epoch that is over: figures of the one before say nothing about a state
            # in the middle of this one, which must not pass for the best.
            "metrics": {} if engine.state.epoch_open else epoch_figures(engine),
            "engine": record,
            "cursor": engine.cursor() or self._loader.cursor(),
            "fingerprint": self._loader.fingerprint(),
        }
        self.store.save(arrays, iteration=engine.state.iteration, meta=meta)
        engine.fire(Events.CHECKPOINT_SAVED)

    def note_saved(self, record: Mapping[str, Any]) -> None:
        """Know that the run stands where this record of a checkpoint says: it is saved."""
        self._last = _place(record)


def _place(record: Mapping[str, Any]) -> dict[str, Any]:
    """Where the run stands. That it was interrupted there makes no other place of it."""
    place = dict(record["counters"])
    return place | {"stopped": ""} if place["stopped"] == "interrupt" else place


def resume(engine: Engine, loader: Any, saved: Saved, store: CheckpointStore) -> None:
    """Put engine, hooks and loader where they were when `saved` was taken.

    Raises:
        CheckpointMismatchError: another model or optimizer, every difference listed.
        CheckpointError: the checkpoint can't be read.
        ConfigError: the loader's data or order is another.
    """
    template, _ = engine.snapshot()
    arrays, meta = store.load(saved, template)
    loader.restore(meta["cursor"])
    engine.restore(arrays, meta["engine"])
    for hook in engine.hooks.values():
        if isinstance(hook, Checkpoint):
            hook.note_saved(meta["engine"])
