from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxtrain.errors import DataError
from jaxtrain.models.hf.header import Head, read_header
from jaxtrain.models.hf.strict_json import MOST
from tests.models.hf.files import write_file


def test_a_header_of_the_library(tmp_path):
    tensors = {"b": np.ones((2, 3), np.float32), "a": np.ones(5, np.float16)}
    save_file(tensors | {"c": np.ones((0, 2))}, tmp_path / "x", metadata={"format": "pt"})
    assert read_header(tmp_path / "x") == {
        "b": Head("F32", (2, 3)),
        "a": Head("F16", (5,)),
        "c": Head("F64", (0, 2)),
    }


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)} | more


def pair(second):
    return {"a": entry(), "b": second}


TWICE = b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {}}'

BROKEN = [
    ({"a": entry()}, 7, "truncated: the tensors take 8 bytes, and 7 follow"),
    ({"a": entry()}, 9, "more at its end"),
    (pair(entry(offsets=(4, 12))), 12, r"'b': overlaps the one before it"),
    (pair(entry(offsets=(0, 8))), 8, "overlaps"),
    (pair(entry(offsets=(12, 20))), 20, "'b': leaves a gap"),
    ({"a": entry(offsets=(8, 0))}, 8, "takes 8 bytes"),
    ({"a": entry(offsets=(0, 16))}, 16, r"\[2\] takes 8 bytes, and its data_offsets"),
    ({"a": entry(dtype="BF16")}, 8, r"BF16 \[2\] takes 4 bytes"),
    ({"a": entry(dtype="F64")}, 8, r"F64 \[2\] takes 16 bytes"),
    ({"a": entry(dtype="I8", shape=(8,))}, 8, "dtype: expected one of F64, F32, F16, BF16"),
    ({"a": entry(dtype=["F32"])}, 8, "dtype: expected one of"),
    ({"a": entry(shape=(2**40, 2**40))}, 8, "takes 4835703278458516698824704 bytes"),
    ({"a": entry(shape=(2**62,) * 8)}, 8, "takes "),
    ({"a": entry(shape=(1,) * 9 + (2,))}, 8, "shape: expected a list of sizes"),
    ({"a": entry(shape=(-2,))}, 8, "shape: expected"),
    ({"a": entry(shape=(2.0,))}, 8, "shape: expected"),
    ({"a": entry(shape=(True, 2))}, 8, "shape: expected"),
    ({"a": entry(offsets=(0, 8, 8))}, 8, "data_offsets: expected two"),
    ({"a": entry(more=1)}, 8, "expected dtype, shape and data_offsets"),
    ({"a": [1]}, 8, "expected dtype, shape and data_offsets"),
    (TWICE, 8, "the header: 'a' is there twice"),
    (b"{", 0, "the header: is not valid JSON"),
    (b"[]", 0, "expected a JSON object, found list"),
]


@pytest.mark.parametrize(("header", "room", "message"), BROKEN)
def test_what_can_not_be_true_is_refused_with_file_and_tensor(tmp_path, header, room, message):
    path = tmp_path / "x.safetensors"
    write_file(path, header, bytes(room))
    with pytest.raises(DataError, match=message) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("length", [3, 2**31, 2**63, 2**64 - 1])
def test_a_header_longer_than_the_file(tmp_path, length):
    path = tmp_path / "x.safetensors"
    write_file(path, b"{}", length=length)
    with pytest.raises(DataError, match=rf"announce a header of {length:,} bytes, and 2 follow"):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"1234567", b"PK\x03\x04" + bytes(30), b"\x80\x04" * 9])
def test_what_is_no_safetensors_file(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"is no safetensors file, or truncated|not valid JSON"):
        read_header(tmp_path / "x")


def test_a_huge_header_is_not_parsed(tmp_path):
    write_file(tmp_path / "x", b"{" + b" " * MOST + b"}")
    with pytest.raises(DataError, match="expected at most"):
        read_header(tmp_path / "x")
