"""What is not finite is named."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import refuse_nonfinite
from jaxtrain.errors import NonFiniteError


def test_what_is_finite_or_no_float_is_passed_over():
    tree = {
        "w": jnp.ones((2, 3)),
        "half": jnp.ones(2, jnp.bfloat16),
        "key": jax.random.key(0),
        "step": jnp.int32(3),
        "flag": np.array([True]),
        "number": 3.5,
        "count": 10**400,
        "text": "nan",
        "empty": jnp.zeros((0, 3)),
    }
    refuse_nonfinite(tree, "params")


@pytest.mark.parametrize(
    "leaf",
    [
        jnp.array([1.0, jnp.nan, jnp.inf]),
        jnp.array([1.0, -jnp.inf, jnp.nan], jnp.bfloat16),
        np.array([1.0, np.nan, np.inf]),
        np.array([1.0, np.nan, np.inf], jnp.bfloat16),
        np.array([1.0, np.nan, 1j * np.inf]),
        jnp.array([0.0, jnp.nan, jnp.nan], jnp.float8_e5m2),
    ],
)
def test_the_first_leaf_is_named_with_how_many_of_its_numbers(leaf):
    tree = {"a": jnp.ones(3), "b": {"c": leaf}, "d": jnp.full(4, jnp.nan), "e": jnp.ones(1)}
    with pytest.raises(NonFiniteError) as raised:
        refuse_nonfinite(tree, "runs/a/checkpoints/00000009: params")
    said = str(raised.value)
    assert said.startswith("runs/a/checkpoints/00000009: params: b/c: 2 of 3 numbers are NaN or")
    assert "1 more arrays" in said
    assert raised.value.exit_code == 3


def test_a_lone_number():
    with pytest.raises(NonFiniteError, match="loss_scale: x: 1 of 1"):
        refuse_nonfinite({"x": float("inf")}, "loss_scale")
