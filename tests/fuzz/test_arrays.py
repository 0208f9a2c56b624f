"""Files of arrays that are broken or hostile: an error of ours, or arrays; no memory for claims.

600 cases: 300 damaged archives, 100 arrays, 100 headers and 100 states of a reader of nonsense.
"""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxtrain.data import array_file, check_dataset, inspect_arrays, read_inputs
from jaxtrain.errors import ConfigError, DataError

FUZZ = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MOST = 2**23  # bytes that a file of two kilobytes may take
X = np.linspace(-1, 1, 60).reshape(20, 3)


def npz(save, **arrays) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


ARCHIVES = [
    npz(np.savez, x=X, y=np.arange(20) % 3),
    npz(np.savez_compressed, x=X, y=np.array(["a", "bb"])[np.arange(20) % 2]),
    npz(np.savez_compressed, x_train=X, y_train=X[:, 0], x_test=X, y_test=X[:, 0]),
]
ARRAYS = [npy(X.astype(np.float32)), npy(X), npy(np.asfortranarray(X)), npy(np.array(["a"] * 20))]


@st.composite
def damaged(draw, whole):
    """One of some files: cut, with bytes changed, doubled, or taken out."""
    content = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "set", "cut", "double", "drop", "number"]))
        if kind == "flip" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            content[place : place + 4] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "cut":
            del content[place:]
        elif kind == "double":
            content[place:place] = content[place : place + draw(st.integers(1, 64))]
        elif kind == "drop":
            del content[place : place + draw(st.integers(1, 64))]
        else:
            number = draw(st.sampled_from([0, 1, 2**16 - 1, 2**31 - 1, 2**32 - 1]))
            content[place : place + 4] = struct.pack("<I", number)
    return bytes(content)


@pytest.fixture
def reading(tmp_path):
    """Reads what the bytes say, within bounded memory; None where it is refused."""

    def reading(content, read):
        path = tmp_path / "fuzzed"
        path.write_bytes(content)
        tracemalloc.start()
        try:
            return read(path)
        except (ConfigError, DataError):
            return None
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < MOST, peak

    return reading


def new_rows(path):
    return read_inputs(path, {"inputs": np.zeros((1, 3), np.float32)})


@FUZZ
@given(content=damaged(ARCHIVES))
def test_a_source_of_damaged_archives(reading, content):
    splits = reading(content, lambda p: array_file(0.1, 0, file=p.name, root=str(p.parent)))
    if splits is not None:
        for rows in splits.sets.values():
            check_dataset(rows)
            assert rows.inputs.dtype == np.float32


@FUZZ
@given(content=damaged(ARCHIVES))
def test_a_look_at_damaged_archives(reading, content):
    reading(content, inspect_arrays)


@FUZZ
@given(content=damaged(ARCHIVES + ARRAYS))
def test_new_rows_from_damaged_files(reading, content):
    rows = reading(
        content, lambda path: read_inputs(path, {"inputs": np.zeros((1, 3), np.float32)})
    )
    assert rows is None or rows.inputs.shape[1:] == (3,)


@FUZZ
@given(content=damaged(ARRAYS))
def test_damaged_arrays(reading, content):
    reading(content, new_rows)


VALUES = st.one_of(
    st.integers(-5, 5),
    st.integers(2**31, 2**70),
    st.sampled_from(["<f4", "|O", "<U3", "|S0", "<c8", "|V7", ">i2", "<M8[s]", "x", "<U999999999"]),
    st.booleans(),
    st.none(),
    st.lists(st.integers(-2, 2**40), max_size=40).map(tuple),
    st.just((20, 3)),
)


@FUZZ
@given(
    fields=st.dictionaries(st.sampled_from(["descr", "fortran_order", "shape", "more"]), VALUES),
    text=st.none() | st.text(max_size=60),
    version=st.sampled_from([1, 2, 3]),
    size=st.integers(0, 300),
)
def test_headers_of_nonsense(reading, fields, text, version, size):
    header = (repr(fields) if text is None else text).encode("utf-8")
    width = "<H" if version == 1 else "<I"
    content = b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, len(header)) + header
    reading(content + bytes(size), new_rows)


@FUZZ
@given(record=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["inputs", "labels", "shape", "images", "tokens", "is_bytes", "divisor",
                         "mean", "deviation", "task", "kind", "num_outputs", "classes", "columns",
                         "scale", "size", "channels"]),
        inner, max_size=8),
    max_leaves=20,
))  # fmt: skip
def test_what_a_checkpoint_says_of_a_reader(record):
    from jaxtrain.data.arrays import arrays_reader
    from jaxtrain.data.images import image_reader

    for make in (arrays_reader, image_reader):
        with pytest.raises(DataError, match="the reader of"):
            make(record)
