import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import named_leaves
from jaxtrain.checkpoint.leaves import key_types, to_host
from jaxtrain.checkpoint.template import placed, refuse_differences
from jaxtrain.errors import CheckpointMismatchError
from tests import compiling

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
    "no_keys": jax.random.split(jax.random.key(6), 0),
    "rbg": jax.random.key(7, impl="rbg"),
    "unsafe_rbg": jax.random.key(7, impl="unsafe_rbg"),
    "nested": [{"a": jnp.ones(1)}, (jnp.zeros(2), None)],
}


def raw(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(leaf.dtype), np.asarray(jax.random.key_data(leaf)).tobytes()
    return str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()


def there_and_back(tree, template=None):
    leaves = named_leaves(tree)
    template = tree if template is None else template
    return placed(to_host(leaves), template, keys=key_types(leaves))


def test_values_come_back_bit_for_bit():
    back = there_and_back(TREE)
    assert jax.tree.structure(back) == jax.tree.structure(TREE)
    for name, leaf in named_leaves(back).items():
        assert raw(leaf) == raw(named_leaves(TREE)[name]), name
        assert isinstance(leaf, jax.Array)


def test_shapes_are_enough_of_a_template():
    back = there_and_back(TREE, jax.eval_shape(lambda: TREE))
    assert [raw(x) for x in jax.tree.leaves(back)] == [raw(x) for x in jax.tree.leaves(TREE)]


def test_a_key_goes_on_where_it_was():
    back = there_and_back(TREE)
    for name in ("key", "rbg"):
        np.testing.assert_array_equal(
            jax.random.normal(back[name], (3,)), jax.random.normal(TREE[name], (3,))
        )


# -- what jax has no room for --------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.array([2**40, 12345678901, -1], np.int64),
        np.array([2**64 - 1], np.uint64),
        np.array([0.1, 1e300], np.float64),
        np.array([1 + 1e-12j]),
        np.array(2**40),
        np.empty((0, 2)),
    ],
)
def test_64_bits_stay_in_numpy_where_jax_would_narrow_them(array):
    for template in (array, jax.ShapeDtypeStruct(array.shape, array.dtype)):
        back = there_and_back({"x": array}, {"x": template})["x"]
        assert isinstance(back, np.ndarray)
        assert (back.dtype, back.shape, back.tobytes()) == (
            array.dtype,
            array.shape,
            array.tobytes(),
        )


@pytest.mark.parametrize("scalar", [np.int64(2**40), np.float64(0.1), np.uint64(2**64 - 1)])
def test_a_scalar_of_numpy_comes_back_as_one(scalar):
    back = there_and_back({"x": scalar})["x"]
    assert type(back) is type(scalar)
    assert back == scalar


def test_with_x64_they_are_arrays_of_jax():
    with jax.enable_x64(True):
        tree = {"i": jnp.asarray(2**40), "f": np.array([0.1])}
        back = there_and_back(tree)
        assert back["i"].dtype == jnp.int64
        assert back["f"].dtype == jnp.float64
        assert isinstance(back["f"], jax.Array)
        assert int(back["i"]) == 2**40


def test_saved_with_x64_and_read_without_it_is_a_mismatch():
    with jax.enable_x64(True):
        stored = to_host({"i": jnp.asarray(2**40)})
    with pytest.raises(CheckpointMismatchError, match=r"i: this run has int32\[\], .*int64\[\]"):
        placed(stored, {"i": jnp.int32(0)})


@pytest.mark.parametrize("number", [12345678901, -1, 0.1, True, 1e300 + 1j])
def test_a_number_of_python_comes_back_as_one(number):
    back = there_and_back({"x": number}, {"x": type(number)(0)})["x"]
    assert type(back) is type(number)
    assert back == number


def test_a_small_array_of_numpy_comes_back_in_jax():
    back = there_and_back({"x": np.ones(2, np.float32)})["x"]
    assert isinstance(back, jax.Array)


# -- differences ---------------------------------------------------------------------------------


def test_every_difference_is_listed():
    stored = to_host(
        {
            "same": jnp.ones(2),
            "shape": jnp.ones((2, 3)),
            "dtype": jnp.ones(2, jnp.bfloat16),
            "extra/deep": jnp.ones(1),
            "key": jnp.ones(3, jnp.uint32),
            "rng": jax.random.key(0, impl="rbg"),
            "words": jax.random.key(0),
        }
    )
    template = {
        "same": jnp.zeros(2),
        "shape": jnp.ones((3, 2)),
        "dtype": jnp.ones(2),
        "missing": jnp.ones(1),
        "key": jax.random.key(0),
        "rng": jax.random.key(0, impl="unsafe_rbg"),
        "words": jnp.zeros(2, jnp.uint32),
    }
    with pytest.raises(CheckpointMismatchError) as error:
        placed(stored, template, keys={"rng": "rbg", "words": "threefry2x32"})
    assert str(error.value).splitlines() == [
        "the checkpoint does not fit this run:",
        "  dtype: this run has float32[2], the checkpoint bfloat16[2]",
        "  key: this run has uint32[2] (random key, threefry2x32), the checkpoint uint32[3]",
        "  missing in the checkpoint: missing",
        "  not in this run: extra/deep",
        "  rng: this run has uint32[4] (random key, unsafe_rbg), "
        "the checkpoint uint32[4] (random key, rbg)",
        "  shape: this run has float32[3, 2], the checkpoint float32[2, 3]",
        "  words: this run has uint32[2], the checkpoint uint32[2] (random key, threefry2x32)",
    ]


@pytest.mark.parametrize(
    ("stored", "template"),
    [
        ({"a": np.ones(2), "b": np.ones(1)}, {"a": np.ones(2)}),
        ({"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(1)}),
        ({"a": np.ones(2)}, {"a": np.ones((2, 1))}),
        ({"a": np.ones((), np.float32)}, {"a": np.ones((), np.float16)}),
        ({"a": np.ones(2, np.uint32)}, {"a": np.ones(2, np.int32)}),
        ({"a": np.ones(())}, {"a": 1}),
        ({"a": np.array(1, np.int32)}, {"a": 1}),
        ({"a": np.array(1)}, {"a": True}),
    ],
)
def test_one_difference_is_enough(stored, template):
    for check in (placed, refuse_differences):
        with pytest.raises(CheckpointMismatchError):
            check(stored, template)


@pytest.mark.parametrize(("count", "more"), [(20, None), (23, "  and 3 more")])
def test_of_very_many_differences_the_rest_is_counted(count, more):
    stored = {f"{i:02}": np.ones(1) for i in range(count)}
    with pytest.raises(CheckpointMismatchError) as error:
        placed(stored, {})
    lines = str(error.value).splitlines()[1:]
    assert lines[:20] == [f"  not in this run: {i:02}" for i in range(20)]
    assert lines[20:] == ([more] if more else [])


# -- where it is to be ---------------------------------------------------------------------------


def test_what_was_tied_to_no_device_stays_so():
    free, tied = jnp.ones(2), jax.device_put(jnp.ones(2), jax.devices()[0])
    back = there_and_back({"free": free, "tied": tied, "shape": free})
    assert not back["free"].committed
    assert back["tied"].committed


def test_where_a_leaf_lives_on_eight_devices(tmp_path):
    """Saved by 8 devices, read by 8, 4 and 1, split as before and otherwise."""
    script = Path(__file__).with_name("eight_devices.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=script.parents[2],
        env={
            **compiling.devices(8),
            "PYTHONPATH": str(script.parents[2]),
            "HOME": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all equal"
