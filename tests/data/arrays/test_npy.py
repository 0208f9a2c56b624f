from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest

from jaxtrain.data.arrays.npy import read_body, read_head
from jaxtrain.errors import DataError


def saved(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def read(content: bytes):
    stream = io.BytesIO(content)
    return read_body(stream, read_head(stream, "x"), "x")


def head(text: str, version=(1, 0)) -> bytes:
    width = "<H" if version == (1, 0) else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(width, len(text)) + text.encode()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.array(["a", "größe"]),
        np.array([b"ab", b"c"]),
        np.array([True, False]),
        np.float16([1.5, np.nan]),
        np.array(3.0),
    ],
)
def test_what_numpy_has_saved(array):
    found = read(saved(array))
    assert found.shape == array.shape
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")
    stream = io.BytesIO(saved(array))
    assert (read_head(stream, "x").shape, read_head.__name__) == (array.shape, "read_head")


def test_version_2_of_the_format():
    array = np.arange(3)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(2, 0))
    assert read(stream.getvalue()).tolist() == [0, 1, 2]


def test_a_header_of_python_2_is_read_without_a_warning():
    text = "{'descr': '<i8', 'fortran_order': False, 'shape': (2L,)}"
    assert read(head(text) + np.arange(2).tobytes()).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([{}], object), "objects, which are pickles and never read"),
        (np.array([1j]), "complex numbers"),
        (np.array(["2020-01-01"], "M8[D]"), "dates"),
        (np.array([1], "m8[s]"), "lengths of time"),
        (np.zeros(2, [("a", "f4"), ("b", "i4")]), "records of several fields"),
        (np.zeros(2, [("a", object)]), "pickles"),
        (np.zeros(2, "V3"), "records"),
        (np.zeros((0, 3)), "holds no value"),
    ],
)
def test_kinds_that_are_not_read(array, said):
    with pytest.raises(DataError, match=said):
        read(saved(array, allow_pickle=True))


def test_a_pickle_is_never_opened(tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    text = "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"
    for content in (head(text) + pickle.dumps(Evil()), pickle.dumps(Evil())):
        with pytest.raises(DataError):
            read(content)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "shape", ["(-1,)", "(True,)", "(1.5,)", "'x'", "(1,) * 9", f"({'1,' * 40})", "3", "[2]"]
)
def test_shapes_that_are_none(shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    with pytest.raises(DataError, match=r"^x: "):
        read(head(text) + bytes(4))


@pytest.mark.parametrize(
    "text",
    ["", "{", "(" * 5000, "-" * 9000, "{'descr': '<f4'}", "'\\d'", "\0", "{'descr': '<U0', "
     "'fortran_order': False, 'shape': (3,)}", "{'descr': ('<f4', (3,)), 'fortran_order': False, "
     "'shape': (3,)}", "{'descr': 5, 'fortran_order': False, 'shape': (3,)}"],
)  # fmt: skip
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_headers_that_are_none(text, version):
    with pytest.raises(DataError, match=r"^x: "):
        read(head(text, version) + bytes(100))


def test_truncated_and_too_long():
    content = saved(np.arange(10))
    for length in range(len(content)):
        with pytest.raises(DataError, match=r"^x: "):
            read(content[:length])
    with pytest.raises(DataError, match=r"expected 80 bytes of values for int64\[10\], found more"):
        read(content + b"\0")
    with pytest.raises(DataError, match=r"expected 80 bytes .* found 78"):
        read(content[:-2])


def test_another_version_and_a_header_that_claims_too_much():
    with pytest.raises(DataError, match=r"format 3\.0 of NumPy's files"):
        read(head("{}", (3, 0)))
    claim = b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="a header of 2,147,483,648 bytes"):
            read(claim)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", "<>")
def test_texts_of_letters_that_there_are_not(order):
    """NumPy hands them on, and Python raises a SystemError of them."""
    text = f"{{'descr': '{order}U2', 'fortran_order': False, 'shape': (2,)}}"
    good = np.array([97, 0, 0x10FFFF, 98], f"{order}u4")
    assert read(head(text) + good.tobytes()).tolist() == ["a", "\U0010ffffb"]
    with pytest.raises(DataError, match="letters that there are not"):
        read(head(text) + (good + 1).tobytes())


def test_a_truth_is_0_or_1():
    text = "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}"
    found = read(head(text) + b"\0\1\2")
    assert found.astype(np.int32).tolist() == [0, 1, 1]
