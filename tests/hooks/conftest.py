"""Engines for hook tests: a host one whose outputs a test chooses, and a pure one."""

import copy
import json

import jax.numpy as jnp
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import EPOCH_METRICS


@pytest.fixture
def make_engine():
    """make_engine(**scalars): a host engine whose step returns them; callables get the iteration.

    `epochs={"val/loss": [0.3, 0.2]}` adds the metrics of each epoch, as a validation would; None
    stands for an epoch without.
    """

    def make(*, epochs=None, **scalars):
        def process(engine, batch):
            iteration = engine.state.iteration
            return {k: v(iteration) if callable(v) else v for k, v in scalars.items()}

        engine = Engine(process)
        if epochs:

            @engine.on(Events.EPOCH_COMPLETED, provides=(EPOCH_METRICS, *epochs), priority=-100)
            def add(engine):
                for name, values in epochs.items():
                    value = values[engine.state.epoch - 1]
                    engine.state.metrics.pop(name, None)
                    if value is not None:
                        engine.state.metrics[name] = value

        return engine

    return make


@pytest.fixture
def make_pure_engine():
    """make_pure_engine(bad=7): a compiled engine whose loss is NaN from iteration `bad` on."""

    def make(bad):
        def step(state, batch):
            state = state + 1
            loss = jnp.where(state >= bad, jnp.nan, 0.5)
            return state, {"loss": loss, "grad_norm": loss * 2, "finite": jnp.isfinite(loss)}

        return Engine(step, jnp.int32(0))

    return make


@pytest.fixture
def saved():
    """saved(engine): its snapshot, its record once through JSON. saved(engine, event): a list that
    gets one at rest after the event.
    """

    def take(engine):
        arrays, record = engine.snapshot()
        return copy.deepcopy(arrays), json.loads(json.dumps(record))

    def save(engine, event=None):
        if event is None:
            return take(engine)
        snapshots = []
        engine.attach_handler(
            event, lambda e: e.when_at_rest(lambda: snapshots.append(take(e))), priority=1000
        )
        return snapshots

    return save
