import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.batch import batch_size, entry, full_mask, has_rows, masks, row_mask
from jaxtrain.errors import DataError

ROWS, TOKENS = np.float32([1, 1, 0]), np.float32([[1, 0], [1, 1], [1, 1]])


def test_a_missing_entry_is_named_with_its_reader():
    assert entry({"inputs": 3}, "inputs") == 3
    with pytest.raises(DataError, match="the model reads 'x', the batch has only 'a', 'b'"):
        entry({"a": 1, "b": 2}, "x")
    with pytest.raises(DataError, match="the loss reads 'x', the output has only nothing"):
        entry({}, "x", reader="the loss", of="the output")


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        ({"inputs": np.ones((4, 2))}, 4),
        ({"alpha": np.ones(()), "inputs": np.ones((4, 2)), "labels": np.ones(4)}, 4),
        ({"alpha": 0.5, "inputs": {"left": np.ones((4, 2)), "right": np.ones(4)}}, 4),
        ({"a_table": np.ones((7, 2)), "inputs": np.ones((4, 2)), "labels": np.ones(4)}, 4),
        ({"a_table": np.ones((7, 2)), "row_mask": np.ones(4)}, 4),
        ({"a_table": np.ones((7, 2)), "mask": np.ones((4, 9)), "inputs": np.ones(4)}, 4),
        ({"labels": {"digit": np.ones(5)}, "inputs": np.ones((5, 2))}, 5),
        ({"labels": np.ones(9), "row_mask": np.ones(4)}, 4),  # the loader knows best
    ],
)
def test_the_size_of_a_batch(batch, size):
    assert batch_size(batch) == size


@pytest.mark.parametrize("batch", [{}, {"a": 1.0}, {"a": np.ones(3), "b": np.ones(4)}])
def test_a_batch_of_no_size_is_refused(batch):
    with pytest.raises(DataError, match="a batch's size is that of 'row_mask'"):
        batch_size(batch)


def test_which_leaves_have_rows():
    leaves = (np.ones((4, 2)), np.ones(4), np.ones(3), 0.5, np.ones(()))
    assert [has_rows(leaf, 4) for leaf in leaves] == [True, True, False, False, False]


def test_masks_compose():
    assert full_mask({}) is None
    np.testing.assert_array_equal(full_mask({"row_mask": ROWS}), ROWS)
    np.testing.assert_array_equal(full_mask({"mask": TOKENS}), TOKENS)
    both = full_mask({"row_mask": ROWS, "mask": TOKENS})
    np.testing.assert_array_equal(both, [[1, 0], [1, 1], [0, 0]])
    assert both.dtype == jnp.float32
    for wrong in (np.ones((4, 2)), np.ones(())):
        with pytest.raises(DataError, match="expected its first axis to be that of the 3 rows"):
            full_mask({"row_mask": ROWS, "mask": wrong})


def test_the_rows_that_count():
    own = np.float32([0, 1, 1])
    assert row_mask({}) is None
    assert row_mask({"mask": TOKENS}) is None
    np.testing.assert_array_equal(row_mask({"row_mask": ROWS}), ROWS)
    np.testing.assert_array_equal(row_mask({"row_mask": ROWS, "mask": TOKENS}), ROWS)
    np.testing.assert_array_equal(row_mask({"mask": own}), own)
    np.testing.assert_array_equal(row_mask({"row_mask": ROWS, "mask": own}), [0, 1, 0])


def test_a_mask_over_values():
    values = jnp.ones((3, 2, 5))
    assert masks(None, values) is None
    found = masks(jnp.asarray(TOKENS), values)
    assert (found.shape, found.dtype) == ((3, 2, 1), jnp.bool_)
    assert masks(jnp.asarray(ROWS), values).shape == (3, 1, 1)
    with pytest.raises(DataError, match=r"mask has shape \(3, 2\).*shape \(3, 5\)"):
        masks(jnp.asarray(TOKENS), jnp.ones((3, 5)))
