"""What engine tests share: a record of every event, and a loader with a place in its data."""

import jax
import numpy as np
import pytest

from jaxtrain.engine import Engine, Event, Events
from jaxtrain.errors import CheckpointMismatchError

ALL_EVENTS = [event for event in vars(Events).values() if isinstance(event, Event)]


@pytest.fixture
def record():
    """record(engine): a list that gets the name of every event; `with_counts` adds the counters."""

    def attach(engine, *, skip=(), with_counts=False):
        seen = []

        def note(engine, name):
            state = engine.state
            counts = (state.epoch, state.iteration, state.epoch_iteration)
            seen.append((name, *counts) if with_counts else name)

        for event in ALL_EVENTS:
            if event.name not in skip:
                engine.attach_handler(event, lambda e, *_, name=event.name: note(e, name))
        return seen

    return attach


@pytest.fixture
def host():
    """host(): an engine whose step does nothing but hand the batch on as its output."""
    return lambda: Engine(lambda engine, batch: batch)


class Numbers:
    """A loader of n numbers, the same in each epoch."""

    def __init__(self, n):
        self.n = n

    batch_size = 1

    @property
    def steps_per_epoch(self):
        return self.n

    def fingerprint(self):
        return f"{self.n} numbers"

    def example(self):
        return jax.ShapeDtypeStruct((), np.int32)

    def start(self, epoch=0):
        return {"epoch": epoch, "batch": 0, "fingerprint": self.fingerprint()}

    def batches(self, cursor=None):
        at = cursor or self.start()
        if at["fingerprint"] != self.fingerprint():
            raise CheckpointMismatchError("a place in other numbers")
        return self._from(at["epoch"], at["batch"])

    def _from(self, epoch, batch):
        while True:
            number, batch = batch, batch + 1
            if batch == self.n:
                epoch, batch = epoch + 1, 0
            yield number, {"epoch": epoch, "batch": batch, "fingerprint": self.fingerprint()}

    def __iter__(self):
        return iter(range(self.n))


@pytest.fixture
def numbers():
    """numbers(n): a loader of n numbers, which knows places."""
    return Numbers
