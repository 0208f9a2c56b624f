import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.step.padding import finite_padding

MASK = jnp.array([1.0, 0.0])


@pytest.mark.parametrize("name", ["mask", "row_mask"])
def test_finite_padding_stays_as_it_is(name):
    values = jnp.array([[1.0, jnp.nan], [-jnp.inf, 3.0]])
    np.testing.assert_array_equal(finite_padding({name: MASK}, values), [[1.0, np.nan], [0.0, 3.0]])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int32, jnp.bool_])
def test_dtypes_stay(dtype):
    values = jnp.ones((2, 3), dtype)
    assert finite_padding({"row_mask": MASK}, values).dtype == dtype


def test_a_mask_may_cover_several_axes_or_be_absent():
    values = jnp.full((2, 2, 3), jnp.nan)
    mask = jnp.array([[1, 0], [0, 1]])
    found = np.isnan(finite_padding({"mask": mask}, values)).all(axis=-1)
    np.testing.assert_array_equal(found, [[True, False], [False, True]])
    assert finite_padding({}, values) is values


def test_both_masks_compose():
    values = jnp.full((2, 2), jnp.nan)
    batch = {"mask": jnp.array([[1, 0], [1, 1]]), "row_mask": MASK}
    found = finite_padding(batch, values)
    np.testing.assert_array_equal(found, [[np.nan, 0.0], [0.0, 0.0]])


def test_an_input_that_the_token_mask_does_not_fit_is_cleaned_by_rows():
    values = jnp.full((2, 5), jnp.nan)
    batch = {"mask": jnp.ones((2, 3)), "row_mask": MASK}
    found = np.isnan(finite_padding(batch, values)).all(axis=-1)
    np.testing.assert_array_equal(found, [True, False])


def test_inputs_may_be_a_tree_of_which_the_mask_fits_some_leaves():
    tree = {
        "rows": jnp.array([jnp.nan, jnp.nan]),
        "global": jnp.array([jnp.nan] * 3),
        "scalar": 0.5,
    }
    cleaned = finite_padding({"row_mask": MASK}, tree)
    np.testing.assert_array_equal(cleaned["rows"], [np.nan, 0.0])
    assert cleaned["global"] is tree["global"]
    assert float(cleaned["scalar"]) == 0.5
