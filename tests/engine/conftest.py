"""What engine tests share: a record of every event, and a loader with a place in its data."""

import pytest

from jaxtrain.engine import Engine, Event, Events

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


@pytest.fixture
def resumable():
    """resumable(n): a loader of n numbers that, as `iter()` promises, gives what is left."""

    class Resumable:
        def __init__(self, batches):
            self.batches = list(batches)
            self.at = 0

        def __len__(self):
            return len(self.batches)

        def __iter__(self):
            while self.at < len(self.batches):
                self.at += 1
                yield self.batches[self.at - 1]
            self.at = 0

        def cursor(self):
            return self.at

        def restore(self, at):
            self.at = at

    return lambda n: Resumable(range(n))
