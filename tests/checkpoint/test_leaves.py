import enum

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import named_leaves
from jaxtrain.checkpoint.leaves import key_types, shape_and_dtype, to_host
from jaxtrain.errors import CheckpointError
from jaxtrain.optim import adamw
from jaxtrain.step import LossScale, TrainState


class Colour(enum.IntEnum):
    RED = 3


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


def test_no_leaf_stands_in_the_place_of_others():
    with pytest.raises(ValueError, match="'a' is a leaf, and so is 'a/b', which is below it"):
        named_leaves({"a": 1, "a/b": 2})
    assert named_leaves({"a": 1, "ab": 2}) == {"a": 1, "ab": 2}


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


def test_a_host_copy_can_be_written_over_by_the_next():
    first = to_host({"a": jnp.arange(4), "b": jnp.ones(2), "c": jnp.ones(3)})
    kept = dict(first)
    second = to_host({"a": jnp.arange(4) + 1, "b": jnp.ones(3), "d": jnp.ones(3)}, reuse=first)
    assert second["a"] is kept["a"]
    assert second["a"].tolist() == [1, 2, 3, 4]
    assert second["b"] is not kept["b"]  # another shape
    assert second.keys() == {"a", "b", "d"}


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (2**63 - 1, "int64"),
        (-(2**63), "int64"),
        (1.5, "float64"),
        (True, "bool"),
        (1j, "complex128"),
        (Colour.RED, "int64"),
        (np.float64(0.1), "float64"),
        (np.uint8(255), "uint8"),
        (np.uint64(2**64 - 1), "uint64"),
    ],
)
def test_a_number_is_stored_with_all_its_digits(number, dtype):
    held = to_host({"n": number})["n"]
    assert (held.dtype, held.shape) == (dtype, ())
    assert shape_and_dtype(number) == ((), dtype)
    assert held.item() == number


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        ("text", "a str of dtype <U4"),
        (b"bytes", r"a bytes of dtype \|S5"),
        (object(), "a object of dtype object"),
        (2**63, "9223372036854775808 has no room in 64 bits"),
        (-(2**63) - 1, "has no room in 64 bits"),
        (np.array([2**70, 1]), "a ndarray of dtype object"),
        (np.ones(2, np.longdouble), "of dtype float128"),
        (np.array(["a"]), "of dtype <U1"),
        (np.array(["2020"], "M8[s]"), r"of dtype datetime64\[s\]"),
        (np.zeros(2, [("a", "f4")]), "of dtype"),
        (np.ones(2, ">f4"), "of dtype >f4; .* in the byte order of this machine"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_no_file_holds_as_it_is_is_refused_by_its_name(leaf, said):
    with pytest.raises(CheckpointError, match=f"params/odd: .*{said}"):
        to_host({"params/fine": np.ones(2), "params/odd": leaf})


def test_all_that_is_refused_is_named_at_once():
    with pytest.raises(CheckpointError) as error:
        to_host({"a": "x", "b": 1, "c": None})
    assert [line[:5] for line in str(error.value).splitlines()] == ["can't", "  a: ", "  c: "]


def test_what_was_given_away_to_a_step_is_named():
    state = {"w": jnp.arange(4.0)}
    jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(state)
    with pytest.raises(CheckpointError, match=r"w: its buffers were given away to a step"):
        to_host(state)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_a_key_is_its_words_and_the_type_beside_them(impl):
    keys = jax.random.split(jax.random.key(5, impl=impl), 3)
    held = to_host({"rng": keys})["rng"]
    np.testing.assert_array_equal(held, jax.random.key_data(keys))
    assert key_types({"rng": keys, "w": jnp.ones(2)}) == {"rng": impl}
    assert key_types(jax.eval_shape(lambda: {"rng": keys})) == {"rng": impl}


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
