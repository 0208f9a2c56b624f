"""Figures of the steps since a reader's own last look."""

import math

import jax.numpy as jnp
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.engine.device.window import empty_window, figures, update_window
from jaxtrain.errors import DataError


def test_what_was_seen():
    window = empty_window()
    for value in (3.0, -1.0, 4.0):
        window = update_window(window, {"x": value}, "x")
    assert figures(window) == {"mean": 2.0, "min": -1.0, "max": 4.0, "last": 4.0}


def test_nothing_was_seen():
    assert all(math.isnan(value) for value in figures(empty_window()).values())


def test_a_nan_shows():
    seen = figures(update_window(empty_window(), {"x": jnp.nan}, "x"))
    assert all(math.isnan(value) for value in seen.values())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"y": 1.0}, "the output has no 'x', only y"),
        ({"x": jnp.ones(2)}, r"expected a scalar, 'x' has shape \(2,\)"),
    ],
)
def test_what_can_not_be_tracked(output, message):
    with pytest.raises(DataError, match=message):
        update_window(empty_window(), output, "x")


def test_each_reader_has_a_window_of_its_own_and_a_restored_run_its_contents():
    def make():
        engine = Engine(lambda s, b: (s + 1, {"a": s, "b": -s}), jnp.float32(0))
        return engine, engine.track("a"), engine.track("a", "b")

    engine, first, second = make()
    engine.attach_handler(Events.ITERATION_COMPLETED(every=2), lambda: first.read())
    engine.run([0] * 5)
    arrays, record = engine.snapshot()
    assert first.read()["a"]["mean"] == 4
    again, first, second = make()
    again.restore(arrays, record)
    assert first.names == ("a",)
    assert first.read()["a"]["mean"] == 4
    assert second.read() == {
        "a": {"mean": 2, "min": 0, "max": 4, "last": 4},
        "b": {"mean": -2, "min": -4, "max": 0, "last": -4},
    }
