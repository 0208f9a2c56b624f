"""A batch in parts: rows in order, what has none whole, and one behind the other again."""

import jax
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.step.cut import Cut

BATCH = {"labels": np.arange(6), "table": np.ones(4)}


def test_parts_keep_the_order_of_rows():
    cut = Cut.of(BATCH, 3, asked="3")
    assert (cut.parts, cut.size) == (3, 2)
    second = cut.part({i: leaf[1] for i, leaf in cut.rows.items()})
    assert second["labels"].tolist() == [2, 3]
    assert second["table"].shape == (4,)
    labels = next(iter(cut.rows.values()))
    assert cut.joined(labels, jax.ShapeDtypeStruct((6,), int)).tolist() == [0, 1, 2, 3, 4, 5]
    assert cut.joined(labels, jax.ShapeDtypeStruct((2,), int)).shape == (3, 2)


def test_rows_that_do_not_split():
    with pytest.raises(DataError, match="a batch of 6 can't be split into 4 parts"):
        Cut.of(BATCH, 4, asked="4 parts")
