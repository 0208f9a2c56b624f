import ml_dtypes
import numpy as np
import pytest

from jaxtrain.checkpoint.arrays import STORABLE, describe_arrays, read_arrays, write_arrays
from jaxtrain.errors import CheckpointError

ARRAYS = {
    "float32": np.array([np.nan, -0.0, 1e-45], np.float32),
    "deep/er/bfloat16": np.array([[1.5], [-2.0]], ml_dtypes.bfloat16),
    "deep/float16": np.array([6e4], np.float16),
    "int8": np.array([-128, 127], np.int8),
    "uint32": np.array([2**32 - 1], np.uint32),
    "int64": np.array([2**62], np.int64),
    "bool": np.array([True, False]),
    "scalar": np.array(3.25, np.float32),
    "flag": np.array(True),
    "empty": np.empty((0, 3), ml_dtypes.bfloat16),
    "deep/nothing": np.empty((2, 0), np.int32),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("arrays") / "arrays"
    write_arrays(directory, ARRAYS)
    return directory


def test_arrays_come_back_bit_for_bit(written):
    back = read_arrays(written)
    assert back.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert back[name].dtype == array.dtype, name
        assert back[name].shape == array.shape, name
        assert back[name].tobytes() == array.tobytes(), name


def bits(dtype):
    """Two elements of a dtype, whose bytes are none of zero's."""
    one = np.arange(1, 3).astype(np.uint8).astype(dtype)
    return (
        one
        if dtype.itemsize == 1
        else np.frombuffer(bytes(range(1, 2 * dtype.itemsize + 1)), dtype)
    )


@pytest.mark.parametrize("name", sorted(STORABLE))
def test_every_dtype_in_every_shape_comes_back_bit_for_bit(tmp_path, name):
    two = np.array([True, False]) if name == "bool" else bits(np.dtype(name))
    arrays = {
        "two": two,
        "matrix": np.stack([two, two[::-1], two]).T,  # not in the order of C
        "scalar": two[:1].reshape(()),
        "empty": np.empty((0, 3), two.dtype),
        "none": np.empty((2, 0, 1), two.dtype),
    }
    write_arrays(tmp_path / "arrays", arrays)
    back, described = read_arrays(tmp_path / "arrays"), describe_arrays(tmp_path / "arrays")
    for key, array in arrays.items():
        assert (back[key].dtype, back[key].shape) == (array.dtype, array.shape)
        assert back[key].tobytes() == array.tobytes()
        assert (described[key].dtype, described[key].shape) == (array.dtype, array.shape)


def test_every_dtype_that_jax_has_arrays_of_can_be_stored():
    import jax
    import jax.numpy as jnp

    have = set()
    for kind in vars(ml_dtypes).values():
        if isinstance(kind, type) and issubclass(kind, np.generic):
            try:
                have.add(str(jax.device_put(np.zeros(1, kind)).dtype))
            except (TypeError, jax.errors.JaxRuntimeError):  # none; of float6 from JAX 0.12 on
                continue
    have |= {str(jnp.zeros(1, kind).dtype) for kind in "?bBhHiIefF"}
    assert "bfloat16" in have
    assert have <= STORABLE


NAMES = [
    {"a.b/c": 1.0, "a/b.c": 2.0},  # orbax joins names by dots
    {"a/b": 1.0, "a.b": 2.0, "a%2Eb": 3.0, "a%b": 4.0},
    {"ü %x/../y": 1.0, "/": 2.0, "a//b": 3.0},
    {"": 1.0, "a/": 2.0},
    {"%": 1.0, "a/%": 2.0},
    {f"layers/{i}/w": float(i) for i in range(12)},
]


@pytest.mark.parametrize("values", NAMES, ids=range(len(NAMES)))
def test_no_name_hides_another(tmp_path, values):
    write_arrays(tmp_path / "arrays", {n: np.full(2, v) for n, v in values.items()})
    back = read_arrays(tmp_path / "arrays")
    assert {n: a.tolist() for n, a in back.items()} == {n: [v, v] for n, v in values.items()}
    assert describe_arrays(tmp_path / "arrays").keys() == values.keys()


@pytest.mark.parametrize("arrays", [{}, {"e": np.empty((0, 2))}])
def test_nothing_at_all_can_be_written(tmp_path, arrays):
    write_arrays(tmp_path / "arrays", arrays)
    assert describe_arrays(tmp_path / "arrays").keys() == arrays.keys()
    assert read_arrays(tmp_path / "arrays").keys() == arrays.keys()


def test_some_of_them_can_be_read_alone(written):
    some = ["deep/er/bfloat16", "scalar", "empty"]
    back = read_arrays(written, some)
    assert sorted(back) == sorted(some)
    assert back["scalar"] == 3.25
    assert read_arrays(written, []) == {}


def test_what_is_there_can_be_told_without_reading_it(written):
    described = describe_arrays(written)
    assert {name: (d.shape, d.dtype) for name, d in described.items()} == {
        name: (a.shape, a.dtype) for name, a in ARRAYS.items()
    }


@pytest.mark.parametrize("spoil", ["absent", "emptied", "no metadata"])
def test_what_orbax_can_not_read_is_a_checkpoint_error(tmp_path, spoil):
    directory = tmp_path / "arrays"
    if spoil != "absent":
        write_arrays(directory, {"a": np.ones(3)})
        for path in [p for p in directory.rglob("*") if p.is_file()]:
            if spoil == "emptied" or path.name == "_METADATA":
                path.unlink()
    with pytest.raises(CheckpointError, match="orbax can't read it") as error:
        read_arrays(directory)
    assert str(directory) in str(error.value)


def test_a_directory_that_is_there_is_not_overwritten(written):
    with pytest.raises(ValueError, match="already exists"):
        write_arrays(written, {"a": np.ones(1)})
