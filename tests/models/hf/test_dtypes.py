from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models.hf.dtypes import STORED, TARGETS, target


def test_what_is_stored_has_the_size_that_its_name_says():
    assert {name: dtype.itemsize * 8 for name, dtype in STORED.items()} == {
        "F64": 64, "F32": 32, "F16": 16, "BF16": 16
    }  # fmt: skip
    assert STORED["BF16"] == jnp.bfloat16 != STORED["F16"]


def test_targets_by_name_and_as_types():
    assert [target(name).name for name in TARGETS] == list(TARGETS)
    assert target(jnp.bfloat16) == target("bfloat16")
    assert target(np.float32).name == "float32"


@pytest.mark.parametrize("wrong", ["float64", "int8", "fp32", np.int32, 3.5, object()])
def test_others_are_refused(wrong):
    with pytest.raises(ConfigError, match="dtype: expected one of float32, bfloat16, float16"):
        target(wrong)
