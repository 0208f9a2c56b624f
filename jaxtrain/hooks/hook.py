"""A hook: an object that subscribes handlers to an engine, and may have something to remember.

    class Milestone:                                      # the epoch that first went below 0.1
        def __init__(self):
            self.reached = None

        def attach(self, engine):
            engine.attach_handler(Events.EPOCH_COMPLETED, self.look, needs=(EPOCH_METRICS,))

        def look(self, engine):
            if self.reached is None and engine.state.metrics["train/loss"] < 0.1:
                self.reached = engine.state.epoch

        def state(self):
            return {"reached": self.reached}

        def restore(self, state):
            self.reached = state["reached"]

    trainer.attach(Milestone())

A hook that writes files says so in `writes`, an attribute of its class or of itself: their names in
the run directory. Two that write the same file in one run are refused.

Of several processes of a run the first alone calls a hook that has `writes`, or that only prints
and says so by `tells = True`. The others never do: all that such a hook is for must be to tell. It
may read the output and the metrics, but no window (`engine.track`): reading one empties it.

One that changes what is learnt, as a learning rate does, says `decides = True`, an attribute of its
class: a config's run with it is then another than one without, and can't get it half way.

What must be made ready for a run (a file, a clock) is made on `Events.STARTED | Events.RESUMED`: a
run begins once, and goes on as often as it was left.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtrain.engine import Engine


@runtime_checkable
class Hook(Protocol):
    """What `engine.attach` takes."""

    def attach(self, engine: Engine) -> None:
        """Subscribe handlers. Writes nothing and reads no device: a run may never come."""
        ...


@runtime_checkable
class StatefulHook(Hook, Protocol):
    """One that must survive a restart: its state stands in every checkpoint."""

    def state(self) -> dict[str, Any]:
        """What it must remember, in values that JSON knows."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` returned."""
        ...
