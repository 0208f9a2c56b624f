import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import named_leaves
from jaxtrain.checkpoint.leaves import from_host, to_host
from jaxtrain.errors import CheckpointMismatchError
from jaxtrain.optim import adamw
from jaxtrain.step import LossScale, TrainState

# float32 is NaN with a payload, -0 and a denormal: bits that a comparison of values would not see.
ODD = np.array([0x7FC00123, 0x80000000, 0x00000001], np.uint32).view(np.float32)

TREE = {
    "float32": jnp.asarray(ODD),
    "bfloat16": jnp.asarray([1.5, -2.0], jnp.bfloat16),
    "float16": jnp.asarray([1e-7, 6e4], jnp.float16),
    "int8": jnp.asarray([-128, 127], jnp.int8),
    "uint32": jnp.asarray([2**32 - 1], jnp.uint32),
    "bool": jnp.asarray([True, False]),
    "scalar": jnp.float32(3.25),
    "count": jnp.int32(-4),
    "empty": jnp.zeros((0, 3), jnp.bfloat16),
    "key": jax.random.key(5),
    "keys": jax.random.split(jax.random.key(6), 3),
    "rbg": jax.random.key(7, impl="rbg"),
    "nested": [{"a": jnp.ones(1)}, (jnp.zeros(2), None)],
}


def raw(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(leaf.dtype), np.asarray(jax.random.key_data(leaf)).tobytes()
    return str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()


def test_leaves_are_named_by_their_path():
    assert list(named_leaves({"b": {"c": 1}, "a": [2, (3,)], "n": None})) == ["a/0", "a/1/0", "b/c"]


def test_the_leaves_of_a_train_state_are_named_by_its_fields():
    params = {"dense": {"kernel": jnp.ones(2)}}
    state = TrainState(
        step=jnp.int32(0),
        params=params,
        frozen={},
        model_state={"batch_stats": {"mean": jnp.zeros(1)}},
        opt_state=adamw(0.1).init(params),
        rng=jax.random.key(0),
        loss_scale=LossScale.create(),
    )
    names = set(named_leaves(state))
    assert {
        "step",
        "params/dense/kernel",
        "model_state/batch_stats/mean",
        "rng",
        "loss_scale/scale",
    } <= names
    assert any("opt_state/" in name and name.endswith("mu/dense/kernel") for name in names)


def test_no_leaf_hides_another():
    with pytest.raises(ValueError, match="two leaves are both called 'a/b'"):
        named_leaves({"a/b": 1, "a": {"b": 2}})


def test_values_come_back_bit_for_bit():
    back = from_host(to_host(TREE), TREE)
    assert jax.tree.structure(back) == jax.tree.structure(TREE)
    for name, leaf in named_leaves(back).items():
        assert raw(leaf) == raw(named_leaves(TREE)[name]), name
        assert isinstance(leaf, jax.Array)


def test_shapes_are_enough_of_a_template():
    template = jax.eval_shape(lambda: TREE)
    back = from_host(to_host(TREE), template)
    assert [raw(x) for x in jax.tree.leaves(back)] == [raw(x) for x in jax.tree.leaves(TREE)]


def test_a_key_goes_on_where_it_was():
    back = from_host(to_host(TREE), TREE)
    for name in ("key", "rbg"):
        np.testing.assert_array_equal(
            jax.random.normal(back[name], (3,)), jax.random.normal(TREE[name], (3,))
        )


def test_host_copies_do_not_change_with_what_they_were_copied_from():
    array = np.ones(3, np.float32)
    held = to_host({"x": array})
    array[:] = 9
    np.testing.assert_array_equal(held["x"], np.ones(3))


def test_host_copies_outlive_the_donation_of_what_they_were_copied_from():
    state = {"x": jnp.arange(4.0)}
    held = to_host(state)
    jax.jit(lambda s: jax.tree.map(lambda x: x * 0 - 1, s), donate_argnums=0)(state)
    np.testing.assert_array_equal(held["x"], np.arange(4.0))


def test_every_difference_is_listed():
    stored = to_host(
        {
            "same": jnp.ones(2),
            "shape": jnp.ones((2, 3)),
            "dtype": jnp.ones(2, jnp.bfloat16),
            "extra": {"deep": jnp.ones(1)},
            "key": jnp.ones(3, jnp.uint32),
        }
    )
    template = {
        "same": jnp.zeros(2),
        "shape": jnp.ones((3, 2)),
        "dtype": jnp.ones(2),
        "missing": jnp.ones(1),
        "key": jax.random.key(0),
    }
    with pytest.raises(CheckpointMismatchError) as error:
        from_host(stored, template)
    assert str(error.value).splitlines() == [
        "the checkpoint does not fit this run:",
        "  dtype: this run has float32[2], the checkpoint bfloat16[2]",
        "  key: this run has uint32[2], the checkpoint uint32[3]",
        "  missing in the checkpoint: missing",
        "  not in this run: extra/deep",
        "  shape: this run has float32[3, 2], the checkpoint float32[2, 3]",
    ]


@pytest.mark.parametrize(
    ("stored", "template"),
    [
        ({"a": np.ones(2), "b": np.ones(1)}, {"a": np.ones(2)}),
        ({"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(1)}),
        ({"a": np.ones(2)}, {"a": np.ones((2, 1))}),
        ({"a": np.ones((), np.float32)}, {"a": np.ones((), np.float16)}),
        ({"a": np.ones(2, np.uint32)}, {"a": np.ones(2, np.int32)}),
    ],
)
def test_one_difference_is_enough(stored, template):
    with pytest.raises(CheckpointMismatchError):
        from_host(stored, template)


@pytest.mark.parametrize(("count", "more"), [(20, None), (23, "  and 3 more")])
def test_of_very_many_differences_the_rest_is_counted(count, more):
    stored = {f"{i:02}": np.ones(1) for i in range(count)}
    with pytest.raises(CheckpointMismatchError) as error:
        from_host(stored, {})
    lines = str(error.value).splitlines()[1:]
    assert lines[:20] == [f"  not in this run: {i:02}" for i in range(20)]
    assert lines[20:] == ([more] if more else [])


def test_a_host_copy_can_be_written_over_by_the_next():
    first = to_host({"a": jnp.arange(4), "b": jnp.ones(2), "c": jnp.ones(3)})
    kept = dict(first)
    second = to_host({"a": jnp.arange(4) + 1, "b": jnp.ones(3), "d": jnp.ones(3)}, reuse=first)
    assert second["a"] is kept["a"]
    assert second["a"].tolist() == [1, 2, 3, 4]
    assert second["b"] is not kept["b"]  # another shape
    assert second.keys() == {"a", "b", "d"}


def test_copies_are_the_only_ones_orbax_is_given(tmp_path, monkeypatch):
    """One more copy of the state in memory, not two."""
    import copy

    from jaxtrain.checkpoint.arrays import write_arrays

    deep = copy.deepcopy

    def watch(value, *args):
        assert not isinstance(value, np.ndarray)
        return deep(value, *args)

    monkeypatch.setattr(copy, "deepcopy", watch)
    write_arrays(tmp_path / "arrays", to_host({"a": jnp.arange(4)}))
