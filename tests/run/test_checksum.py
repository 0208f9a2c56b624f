"""The checksum of parameters: of their bytes alone, wherever they lie."""

import zlib

import numpy as np

from jaxtrain.run.checksum import checksum
from tests.processes import run_together


def test_it_is_that_of_the_bytes_leaf_by_leaf():
    first, second = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32(7)
    expected = zlib.crc32(first.tobytes() + second.tobytes())
    assert checksum({"a": first, "b": second}) == expected
    assert checksum({"a": first.T, "b": second}) != expected


def test_what_lies_over_two_processes_has_the_same():
    for said in run_together("tests/run/spread_checksum.py", 2):
        spread, plain = said.splitlines()[-1].split()
        assert spread == plain
