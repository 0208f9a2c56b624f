"""What looks at every output on the device."""

import jax
import jax.numpy as jnp

from jaxtrain.engine.device.observers import Observers
from jaxtrain.metrics import Mean


def seen(observers, packed):
    return observers.packing.on_host(packed)


def test_metrics_windows_and_the_watch_see_the_same_outputs():
    observers = Observers({"mean": Mean("x")}, (("x",), ("x", "y")))
    packed = observers.empty()
    for value, finite in ((1.0, True), (2.0, False), (6.0, False)):
        output = {"x": jnp.float32(value), "y": -jnp.float32(value), "finite": jnp.bool_(finite)}
        packed = observers.see(packed, output)
    assert float(observers.compute(packed)["mean"]) == 3
    found = seen(observers, packed)
    assert found["watch"] == {"seen": 3, "first": 2}
    assert [set(window) for window in found["windows"]] == [{"x"}, {"x", "y"}]
    assert found["windows"][1]["y"]["min"] == -6

    emptied = seen(observers, observers.without_window(packed, 0))
    assert [int(window["x"]["count"]) for window in emptied["windows"]] == [0, 3]
    fresh = seen(observers, observers.without_metrics(packed))
    assert fresh["metrics"] == seen(observers, observers.empty())["metrics"]
    assert fresh["watch"]["first"] == 2
    assert seen(observers, observers.without_watch(packed))["watch"] == {"seen": 0, "first": 0}
    assert seen(observers, observers.without_step(packed))["watch"] == {"seen": 4, "first": 2}


def test_a_population_is_not_finite_where_a_member_is_not():
    observers = Observers({}, ())
    packed = observers.see(observers.empty(), {"finite": jnp.array([True, False])})
    assert seen(observers, packed)["watch"]["first"] == 1


def test_what_was_seen_is_packed_and_unpacked():
    observers = Observers({"mean": Mean("x")}, (("x",),))
    packed = observers.see(observers.empty(), {"x": jnp.float32(5)})
    again = observers.pack(observers.unpack(packed))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), packed, again))
    assert len(jax.tree.leaves(packed)) == 2  # floats, whole numbers
