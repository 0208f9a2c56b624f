import numpy as np
import pytest
from sklearn.metrics import mean_squared_error

from jaxtrain.errors import DataError
from jaxtrain.metrics import MeanSquaredError


def mse(outputs, labels, mask=None):
    metric = MeanSquaredError()
    output = {"outputs": outputs, "labels": labels}
    if mask is not None:
        output["mask"] = mask
    return float(metric.compute(metric.update(metric.empty(), output)))


@pytest.mark.parametrize("shape", [(31,), (31, 1), (31, 4)])
def test_it_equals_scikit_learn(shape):
    generator = np.random.default_rng(0)
    outputs, labels = generator.normal(size=(2, *shape)).astype(np.float32)
    mask = (np.arange(31) % 4 > 0).astype(np.float32)
    assert mse(outputs, labels) == pytest.approx(mean_squared_error(labels, outputs), rel=1e-6)
    assert mse(outputs, labels, mask) == pytest.approx(
        mean_squared_error(labels, outputs, sample_weight=mask), rel=1e-6
    )


def test_one_output_goes_with_flat_labels():
    assert mse(np.array([[1.0], [2.0]]), np.array([1.0, 4.0])) == 2.0


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(DataError, match=r"outputs \(4,\), labels \(4, 1\)"):
        mse(np.ones(4), np.ones((4, 1)))


def test_half_precision_is_squared_in_float32():
    assert mse(np.full(2, 300, np.float16), np.zeros(2, np.float16)) == 90000.0


def test_one_of_several_outputs():
    metric = MeanSquaredError(outputs="outputs.1", labels="targets.depth", mask="seen")
    output = {
        "outputs": (np.zeros((2, 9)), np.array([1.0, 5.0])),
        "targets": {"depth": np.array([3.0, 0.0])},
        "seen": np.array([1.0, 0.0]),
    }
    assert float(metric.compute(metric.update(metric.empty(), output))) == 4.0
    wrong = MeanSquaredError(outputs="outputs.0", labels="targets.depth", mask=None)
    with pytest.raises(DataError, match=r"SquaredError wants .* outputs\.0 \(2, 9\), t.*\(2,\)"):
        wrong.update(wrong.empty(), output)


def test_every_element_counts_where_no_mask_is_wanted():
    output = {"outputs": [1.0, 3.0], "labels": [0.0, 0.0], "mask": [1.0, 0.0]}
    metric = MeanSquaredError(mask=None)
    assert float(metric.compute(metric.update(metric.empty(), output))) == 5.0
