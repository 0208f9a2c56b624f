"""Reading from the device, and a word to who does so all the time."""

import jax.numpy as jnp
import numpy as np

from jaxtrain.engine import Engine, Events
from jaxtrain.engine.device.reads import Reads, on_host
from jaxtrain.engine.handlers import Handler


def greedy():
    pass


def test_arrays_come_as_numpys():
    found = on_host({"a": jnp.ones(2), "b": (jnp.float32(3),)})
    assert isinstance(found["a"], np.ndarray)
    assert found["b"][0] == 3


def told(caplog, iterations):
    reads, handler = Reads(), Handler(Events.ITERATION_COMPLETED, greedy)
    for iteration in iterations:
        reads.note(handler, iteration)
        reads.note(None, iteration)
    return [r.getMessage() for r in caplog.records]


def test_twenty_iterations_in_a_row(caplog):
    assert len(told(caplog, range(1, 60))) == 1
    assert "handler greedy reads the output in every iteration" in caplog.text


def test_not_in_a_row(caplog):
    assert told(caplog, [*range(1, 20), *range(21, 40)]) == []


def test_twice_in_an_iteration_counts_once(caplog):
    assert told(caplog, [i for i in range(1, 20) for _ in range(5)]) == []


def test_an_output_that_is_not_looked_into_is_not_read(caplog):
    engine = Engine(lambda s, b: (s, {"loss": s}), jnp.float32(0))
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: e.state.output)
    engine.run([0] * 40)
    assert caplog.text == ""
