"""Counters, and when a run is over."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine.state import EngineState


@pytest.mark.parametrize(
    ("counters", "over"),
    [
        ({}, False),
        ({"max_epochs": 2, "epoch": 1}, False),
        ({"max_epochs": 2, "epoch": 2, "epoch_open": True}, False),
        ({"max_epochs": 2, "epoch": 2}, True),
        ({"max_iters": 5, "iteration": 4}, False),
        ({"max_iters": 5, "iteration": 5, "epoch_open": True}, False),
        ({"max_iters": 5, "iteration": 5}, True),
        ({"max_epochs": 2, "stopped": "terminate"}, False),
    ],
)
def test_when_a_run_is_over(counters, over):
    state = EngineState(None)
    for name, value in counters.items():
        setattr(state, name, value)
    assert state.is_over() is over


def test_counters_are_json_values_and_come_back():
    state = EngineState(None, epoch=2, iteration=7, max_epochs=3, epoch_length=5, started=True)
    state.metrics = {"loss": 0.5, "confusion": np.eye(2), "mine": jnp.float32(2)}
    found = state.counters()
    assert found["metrics"] == {"loss": 0.5, "confusion": [[1, 0], [0, 1]], "mine": 2}
    json.dumps(found)
    other = EngineState(None)
    other.restore(found)
    assert other.counters() == found


def test_metrics_are_fetched_once_and_only_when_read():
    state, fetched = EngineState(None), []
    state.metrics["val/loss"] = 1.0
    state.will_be(lambda: fetched.append(1) or {"loss": 2.0})
    assert fetched == []
    assert state.metrics == state.metrics == {"val/loss": 1.0, "loss": 2.0}
    assert fetched == [1]

    def interrupted():
        raise KeyboardInterrupt

    state.will_be(interrupted)
    with pytest.raises(KeyboardInterrupt):
        _ = state.metrics
    with pytest.raises(KeyboardInterrupt):  # it is not taken for read
        _ = state.metrics
    state.will_be(lambda: {"loss": 3.0})
    state.metrics = {}
    assert state.metrics == {}


def test_the_batch_is_looked_at_when_it_is_asked_for():
    state = EngineState(None)
    assert state.batch is None
    state.look_at(lambda: "batch")
    assert state.batch == "batch"
