"""A safetensors file that is written is read as the same, by others too."""

from __future__ import annotations

import os

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxtrain.models.hf.header import Head, read_header
from jaxtrain.models.hf.tensor_file import write_tensors


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_tensors_are_those_that_were_written(tmp_path, dtype):
    tensors = {"a": np.arange(6).reshape(2, 3).astype(dtype), "b": np.ones((0, 2), dtype)}
    write_tensors(tmp_path / "x", tensors)
    found = load_file(tmp_path / "x")
    assert {name: (t.dtype, t.tobytes()) for name, t in found.items()} == {
        name: (t.dtype, t.tobytes()) for name, t in tensors.items()
    }
    of = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[np.dtype(dtype).name]
    assert read_header(tmp_path / "x") == {"a": Head(of, (2, 3)), "b": Head(of, (0, 2))}


def test_who_may_read_it_is_as_usual(tmp_path):
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "x", {"a": np.ones(1, np.float32)})
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
