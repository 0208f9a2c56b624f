import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from jaxtrain.errors import DataError
from jaxtrain.metrics import MeanAbsoluteError


def mae(outputs, labels, rows=None, **options):
    metric = MeanAbsoluteError(**options)
    output = {"outputs": outputs, "labels": labels}
    if rows is not None:
        output["mask"] = rows
    return float(metric.compute(metric.update(metric.empty(), output)))


@pytest.mark.parametrize("shape", [(31,), (31, 1), (31, 4)])
def test_it_equals_scikit_learn(shape):
    generator = np.random.default_rng(0)
    outputs, labels = generator.normal(size=(2, *shape)).astype(np.float32)
    mask = (np.arange(31) % 4 > 0).astype(np.float32)
    assert mae(outputs, labels) == pytest.approx(mean_absolute_error(labels, outputs), rel=1e-6)
    assert mae(outputs, labels, mask) == pytest.approx(
        mean_absolute_error(labels, outputs, sample_weight=mask), rel=1e-6
    )
    assert mae(outputs, labels, mask, mask=None) == mae(outputs, labels)


def test_one_output_goes_with_flat_labels_and_half_precision_is_widened():
    assert mae(np.array([[1.0], [2.0]]), np.array([1.0, 4.0])) == 1.0
    # In float16 the difference would be infinite.
    assert mae(np.full(2, 60000, np.float16), np.full(2, -60000, np.float16)) == 120000.0


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(DataError, match=r"MeanAbsoluteError .*outputs \(4,\), labels \(4, 1\)"):
        mae(np.ones(4), np.ones((4, 1)))
