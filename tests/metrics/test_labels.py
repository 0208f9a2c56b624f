import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics.labels import as_class, ignored, whole


@pytest.mark.parametrize("xp", [np, jnp])
def test_labels_have_at_least_32_bits_and_are_whole(xp):
    for dtype, wide in [("bool", "int32"), ("uint8", "int32"), ("int16", "int32"), ("uint32",) * 2]:
        labels = xp.asarray(np.array([1, 0], dtype))
        found = whole(labels, name="labels", reader="me", xp=xp)
        assert (str(found.dtype), found.tolist()) == (wide, [1, 0])
    with pytest.raises(DataError, match="me wants labels that are whole numbers, found y of float"):
        whole(xp.ones(2, xp.float32), name="y", reader="me", xp=xp)


def test_what_is_no_class_is_said_so_also_where_the_cast_makes_one_of_it():
    label, is_class = as_class(np.array([0, 2, 3, -1, 2**32], np.int64), 3, xp=np)
    assert label.tolist() == [0, 2, 3, -1, 0]
    assert is_class.tolist() == [True, True, False, False, False]
    with jax.enable_x64(True):
        assert as_class(jnp.array([2**32, 1], jnp.int64), 3)[1].tolist() == [False, True]


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_ignored_label(xp):
    labels = xp.asarray(np.array([1, -100, 2], np.int32))
    assert ignored(labels, -100, xp=xp).tolist() == [False, True, False]
    assert ignored(labels, None, xp=xp).tolist() == [False] * 3
    assert ignored(labels, 2**40, xp=xp).tolist() == [False] * 3
    assert ignored(xp.asarray(np.float32([1, -1])), -1, xp=xp).tolist() == [False, True]
