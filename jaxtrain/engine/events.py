"""Events: the named moments of a run that handlers subscribe to.

Events.EPOCH_COMPLETED                              # every epoch
Events.ITERATION_COMPLETED(every=100)               # filtered
Events.ITERATION_COMPLETED(after=10, before=20)
Events.EPOCH_STARTED(once=3) | Events.COMPLETED     # either
LOSS_SPIKED = Event("LOSS_SPIKED")                  # a user's own; engine.fire(LOSS_SPIKED)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtrain.engine.filters import Always, Filter, make_filter


@dataclass(frozen=True)
class Event:
    """A moment with a name, and a filter over how often it has come.

    Two events are the same moment when their names are equal.
    """

    name: str
    filter: Filter = field(default=Always(), repr=False)

    def __call__(
        self,
        event_filter: Callable[[Any, int], bool] | None = None,
        *,
        every: int | None = None,
        once: int | tuple[int, ...] | list[int] | None = None,
        before: int | None = None,
        after: int | None = None,
        every_seconds: float | None = None,
    ) -> Event:
        """The same moment, at some counts only.

        Args:
            event_filter: `(engine, count) -> bool`, asked on every count.
            every: at multiples of this count.
            once: at this count, or at each of these.
            before: at counts smaller than this.
            after: at counts greater than this.
            every_seconds: when so much time has gone by, looked at between two dispatches.
        """
        if not isinstance(self.filter, Always):
            raise ValueError(f"{self.name} has a filter already: {self.filter}")
        try:
            chosen = make_filter(
                every=every,
                once=once,
                before=before,
                after=after,
                every_seconds=every_seconds,
                event_filter=event_filter,
            )
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        return replace(self, filter=chosen)

    def __or__(self, other: Event | EventSet) -> EventSet:
        """Either of the two."""
        return EventSet((self,)) | other


@dataclass(frozen=True)
class EventSet:
    """Several events; a handler attached to the set runs on each of them."""

    events: tuple[Event, ...]

    def __or__(self, other: Event | EventSet) -> EventSet:
        """The events of both."""
        more = other.events if isinstance(other, EventSet) else (other,)
        return EventSet(self.events + more)


class Events:
    """The moments of every run, in the order in which they come.

    | event                | when                                       | its count               |
    |----------------------|--------------------------------------------|-------------------------|
    | STARTED              | a run begins, before its first iteration   | times fired             |
    | RESUMED              | in its place: a run goes on                | times fired             |
    | EPOCH_STARTED        | an epoch begins                            | `state.epoch`           |
    | GET_BATCH_STARTED    | before a batch is asked for                | `state.iteration` + 1   |
    | GET_BATCH_COMPLETED  | a batch has come                           | `state.iteration` + 1   |
    | ITERATION_STARTED    | before the step                            | `state.iteration`       |
    | ITERATION_COMPLETED  | after the step; `state.output` is there    | `state.iteration`       |
    | EPOCH_COMPLETED      | an epoch is over; `state.metrics` is there | `state.epoch`           |
    | TERMINATE            | `terminate()` was heeded                   | times fired             |
    | TERMINATE_EPOCH      | `terminate_epoch()` was heeded             | times fired             |
    | INTERRUPT            | `interrupt()` was heeded                   | times fired             |
    | EXCEPTION_RAISED     | an exception is on its way out             | times fired             |
    | CHECKPOINT_SAVED     | a checkpoint was taken                     | times fired             |
    | RECOMPILED           | a batch of new shapes compiled the step    | times fired             |
    | COMPLETED            | the run is over                            | times fired             |

    What stops what. A stop is heeded after the event in which it is asked for; before a step, the
    step does not run:

    | call                | then fires                          | the next `run`                   |
    |---------------------|-------------------------------------|----------------------------------|
    | `terminate()`       | TERMINATE, COMPLETED                | goes on there: RESUMED           |
    | `interrupt()`       | INTERRUPT                           | goes on there: RESUMED           |
    | `terminate_epoch()` | TERMINATE_EPOCH, EPOCH_COMPLETED    | (this one goes on with the next  |
    |                     |                                     | epoch; the data where they are)  |
    | an exception        | EXCEPTION_RAISED; raised again      | goes on there: RESUMED           |
    | Ctrl-C              | likewise, as KeyboardInterrupt      | goes on there: RESUMED           |
    | the limits          | COMPLETED                           | goes on for more, else anew      |
    | `reset()` after it  |                                     | begins anew: STARTED             |

    "There" is behind the last step that was launched: its batch is used, whatever was raised after
    it; a batch whose step was refused, or raised before it was launched, comes again. Only
    `terminate_epoch()` before a step leaves that batch out. Handlers of the event in which an
    exception was raised that had not run yet are not run for it any more. A step that fails on the
    device itself takes the state with it: then a checkpoint is where to go on.
    """

    STARTED = Event("STARTED")
    RESUMED = Event("RESUMED")
    EPOCH_STARTED = Event("EPOCH_STARTED")
    GET_BATCH_STARTED = Event("GET_BATCH_STARTED")
    GET_BATCH_COMPLETED = Event("GET_BATCH_COMPLETED")
    ITERATION_STARTED = Event("ITERATION_STARTED")
    ITERATION_COMPLETED = Event("ITERATION_COMPLETED")
    EPOCH_COMPLETED = Event("EPOCH_COMPLETED")
    TERMINATE = Event("TERMINATE")
    TERMINATE_EPOCH = Event("TERMINATE_EPOCH")
    INTERRUPT = Event("INTERRUPT")
    EXCEPTION_RAISED = Event("EXCEPTION_RAISED")
    CHECKPOINT_SAVED = Event("CHECKPOINT_SAVED")
    RECOMPILED = Event("RECOMPILED")
    COMPLETED = Event("COMPLETED")

    @staticmethod
    def ITERATION_COMPLETED_EVERY(n: int) -> Event:  # noqa: N802  (a name of the event family)
        """`ITERATION_COMPLETED(every=n)`."""
        return Events.ITERATION_COMPLETED(every=n)

    @staticmethod
    def EPOCH_COMPLETED_EVERY(n: int) -> Event:  # noqa: N802
        """`EPOCH_COMPLETED(every=n)`."""
        return Events.EPOCH_COMPLETED(every=n)
