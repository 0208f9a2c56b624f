import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.checkpoint import spread as module
from jaxtrain.checkpoint.spread import (
    Spread,
    boxes_in_order,
    copied,
    filled,
    moved,
    nothing_of,
    spread_of,
)

VALUES = np.arange(4 * 6, dtype=np.int32).reshape(4, 6)


@pytest.fixture
def in_four():
    """A matrix in four pieces."""
    pieces = {(i, j): VALUES[i : i + 2, j : j + 3].copy() for i in (0, 2) for j in (0, 3)}
    return Spread((4, 6), np.dtype("int32"), (2, 3), pieces)


def test_any_box_is_read_of_the_pieces(in_four):
    for rows in [slice(0, 4), slice(1, 3), slice(3, 4), slice(0, 1)]:
        for columns in [slice(0, 6), slice(2, 5), slice(3, 4), slice(0, 3)]:
            np.testing.assert_array_equal(in_four.read((rows, columns)), VALUES[rows, columns])


def test_the_same_bytes_as_another_dtype(in_four):
    seen = in_four.viewed(np.float32)
    assert seen.dtype == np.float32
    assert seen.read((slice(0, 4), slice(0, 6))).tobytes() == VALUES.tobytes()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 5), max_size=4).map(tuple),
    st.sampled_from([1, 2, 8]),
    st.integers(1, 200),
)
def test_boxes_in_order_are_the_bytes_in_order(shape, itemsize, block):
    array = np.arange(int(np.prod(shape)), dtype=f"i{itemsize}").reshape(shape)
    before, module._BLOCK = module._BLOCK, block
    try:
        boxes = list(boxes_in_order(shape, itemsize))
    finally:
        module._BLOCK = before
    assert b"".join(array[box].tobytes() for box in boxes) == array.tobytes()
    assert all(array[box].nbytes <= max(block, itemsize) for box in boxes)


def test_what_an_index_leaves_open_is_filled():
    assert filled((slice(None), slice(2, None)), (3, 4)) == (slice(0, 3), slice(2, 4))
    assert filled((), ()) == ()
    assert moved((slice(1, 3),), (4,)) == (slice(5, 7),)


def test_a_copy_does_not_change_and_old_memory_is_used_again():
    value = np.arange(3)
    one = copied(value)
    value[0] = 9
    assert one[0] == 0
    assert copied(value, one) is one
    assert one[0] == 9
    assert copied(value.astype(np.int8), one) is not one
    assert copied(value[:2], one) is not one


def test_an_array_of_one_device_is_one_piece():
    array = jnp.arange(6.0).reshape(2, 3)
    first = spread_of(array)
    assert (first.shape, first.part, [*first.pieces]) == ((2, 3), (2, 3), [(0, 0)])
    again = spread_of(array + 1, reuse=first)
    assert again.pieces[0, 0] is first.pieces[0, 0]
    np.testing.assert_array_equal(again.pieces[0, 0], np.arange(1.0, 7).reshape(2, 3))


def test_what_another_process_writes_has_a_shape_and_no_pieces():
    nothing = nothing_of((2, 3), jax.dtypes.bfloat16)
    assert (nothing.shape, nothing.size, nothing.dtype.name) == ((2, 3), 6, "bfloat16")
    assert nothing.pieces == {}
