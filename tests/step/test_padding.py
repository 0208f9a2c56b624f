import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.step.padding import finite_padding, zero_padding

MASK = jnp.array([1.0, 0.0])


def test_padding_is_zeroed_and_rows_stay():
    values = jnp.array([[1.0, jnp.nan], [jnp.inf, 3.0]])
    np.testing.assert_array_equal(zero_padding({"mask": MASK}, values), [[1.0, np.nan], [0.0, 0.0]])


def test_finite_padding_stays_as_it_is():
    values = jnp.array([[1.0, jnp.nan], [-jnp.inf, 3.0]])
    np.testing.assert_array_equal(
        finite_padding({"mask": MASK}, values), [[1.0, np.nan], [0.0, 3.0]]
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int32, jnp.bool_])
def test_dtypes_stay(dtype):
    values = jnp.ones((2, 3), dtype)
    assert zero_padding({"mask": MASK}, values).dtype == dtype
    assert finite_padding({"mask": MASK}, values).dtype == dtype


def test_a_mask_may_cover_several_axes_or_be_absent():
    values = jnp.full((2, 2, 3), jnp.nan)
    mask = jnp.array([[1, 0], [0, 1]])
    found = np.isnan(finite_padding({"mask": mask}, values)).all(axis=-1)
    np.testing.assert_array_equal(found, [[True, False], [False, True]])
    assert finite_padding({}, values) is values
    assert zero_padding({}, values) is values


def test_inputs_may_be_a_tree_of_which_the_mask_fits_some_leaves():
    tree = {"rows": jnp.array([jnp.nan, jnp.nan]), "global": jnp.array([jnp.nan] * 3)}
    cleaned = finite_padding({"mask": MASK}, tree)
    np.testing.assert_array_equal(cleaned["rows"], [np.nan, 0.0])
    assert cleaned["global"] is tree["global"]
