"""A state between dispatches: whose its leaves are, and by what programs are told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine.device.held_state import HeldState, kind_of


def test_what_is_handed_in_is_somebody_elses_and_what_a_step_gave_is_not():
    state = {"a": jnp.zeros(2), "b": jnp.ones(3), "c": jnp.int32(0)}
    held = HeldState(state)
    assert held.tree() is state
    assert held.owned == [False] * 3
    new = [jnp.full(2, 5.0), jnp.int32(1)]
    held.replace((False, True, False), new)
    assert held.owned == [True, False, True]
    assert held.leaves[1] is state["b"]
    assert held.tree()["a"].tolist() == [5, 5]
    assert int(held.tree()["c"]) == 1
    read = held.read()
    assert held.owned == [False] * 3  # whoever has read it may keep it
    assert read["b"] is state["b"]


def test_a_state_that_went_with_a_failed_step_says_so():
    held = HeldState({"a": jnp.zeros(2)})
    held.leaves[0].delete()
    with pytest.raises(RuntimeError, match="went with a step that failed"):
        held.read()


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.zeros((4, 3), np.float32)},
        {"a": np.zeros((4, 2), np.float16)},
        {"b": np.zeros((4, 2), np.float32)},
    ],
)
def test_kinds_are_structure_shapes_and_dtypes(other):
    batch = {"a": np.zeros((4, 2), np.float32)}
    assert kind_of(batch) == kind_of({"a": jax.ShapeDtypeStruct((4, 2), np.float32)})
    assert kind_of(batch) != kind_of(other)
    stacked = {"a": np.zeros((9, 4, 2), np.float32)}
    assert kind_of(stacked, axes=1) == kind_of(batch)
    assert kind_of(batch, of="another") != kind_of(batch)


def test_where_a_leaf_lies_is_part_of_a_states_kind():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("x",))
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    alone, laid_out = jnp.zeros(2), jax.device_put(jnp.zeros(2), place)
    assert HeldState([alone]).kind == HeldState([jnp.ones(2)]).kind
    assert HeldState([alone]).kind != HeldState([laid_out]).kind
