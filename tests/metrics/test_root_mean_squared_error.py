import numpy as np
import pytest
from sklearn.metrics import root_mean_squared_error

from jaxtrain.errors import DataError
from jaxtrain.metrics import RootMeanSquaredError


def rmse(outputs, labels, mask=None, **options):
    metric = RootMeanSquaredError(**options)
    output = {"outputs": outputs, "labels": labels}
    if mask is not None:
        output["mask"] = mask
    return float(metric.compute(metric.update(metric.empty(), output)))


@pytest.mark.parametrize("shape", [(31,), (31, 1), (31, 4)])
def test_it_equals_scikit_learn(shape):
    generator = np.random.default_rng(0)
    columns = 4 if shape[1:] == (4,) else 1
    outputs, labels = generator.normal(size=(2, *shape)).astype(np.float32)
    outputs *= np.arange(1, columns + 1, dtype=np.float32)  # columns of different errors
    mask = (np.arange(31) % 4 > 0).astype(np.float32)
    expected = root_mean_squared_error(labels, outputs)
    assert rmse(outputs, labels, columns=columns) == pytest.approx(expected, rel=1e-6)
    expected = root_mean_squared_error(labels, outputs, sample_weight=mask)
    assert rmse(outputs, labels, mask, columns=columns) == pytest.approx(expected, rel=1e-6)


def test_no_error_at_all_is_0_and_a_column_of_nothing_is_nan():
    assert rmse(np.ones(3), np.ones(3)) == 0.0
    mask = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert np.isnan(rmse(np.ones((2, 2)), np.ones((2, 2)), mask, columns=2))


@pytest.mark.parametrize(("shape", "columns"), [((5, 3), 1), ((5,), 3), ((5, 2, 3), 2)])
def test_another_number_of_columns_is_refused(shape, columns):
    found = 1 if len(shape) == 1 else shape[-1]
    text = rf"a target of {columns} columns, found labels .*; make it with columns={found}"
    with pytest.raises(DataError, match=text):
        rmse(np.ones(shape), np.ones(shape), columns=columns)
