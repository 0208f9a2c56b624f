import ml_dtypes
import numpy as np
import pytest

from jaxtrain.checkpoint.arrays import describe_arrays, read_arrays, write_arrays
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
