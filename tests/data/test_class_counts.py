import numpy as np
import pytest

from jaxtrain.data import Dataset, class_counts


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 1, 3], (1, 2, 0, 1)),
        ([-1, -100, 4, 99, 2], (0, 0, 1, 0)),
        ([[0, 1], [1, 1]], (1, 3, 0, 0)),  # tokens
    ],
)
@pytest.mark.parametrize("dtype", ["int32", "int64", "int8"])
def test_labels_are_counted_class_by_class(labels, expected, dtype):
    labels = np.array(labels, dtype)
    found = class_counts(Dataset(np.zeros((len(labels), 1)), labels, num_outputs=4))
    assert found == expected
    assert all(type(count) is int for count in found)
