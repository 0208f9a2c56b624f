import jax
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from jaxtrain.engine import Engine
from jaxtrain.errors import DataError
from jaxtrain.metrics import ConfusionMatrix, as_metric
from jaxtrain.metrics.confusion_matrix import confusion_matrix
from tests.metrics.options import PATHS

UPDATE = jax.jit(ConfusionMatrix(num_classes=3).update)


def state_of(predicted, labels):
    outputs = np.full((40, 3), np.nan, np.float32)
    padded = np.full(40, -7, np.int32)
    outputs[: len(labels)] = np.eye(3, dtype=np.float32)[np.asarray(predicted, int)]
    padded[: len(labels)] = labels
    output = {"outputs": outputs, "labels": padded, "mask": np.arange(40) < len(labels)}
    return UPDATE(ConfusionMatrix(num_classes=3).empty(), output)


draw = np.random.default_rng(0)
CASES = {
    "random": (draw.integers(0, 3, 40), draw.integers(0, 3, 40)),
    "one label": (draw.integers(0, 3, 40), np.full(40, 2)),
    "one prediction": (np.full(40, 1), draw.integers(0, 3, 40)),
    "one row": ([2], [0]),
    "nothing": ([], []),
}


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
@pytest.mark.parametrize("case", CASES)
def test_it_equals_scikit_learn(case, normalize):
    predicted, labels = CASES[case]
    found = ConfusionMatrix(num_classes=3, normalize=normalize).compute(state_of(predicted, labels))
    assert (found.shape, found.dtype) == ((3, 3), np.float32)
    expected = np.zeros((3, 3))  # of nothing; scikit-learn refuses it, and so says of fractions
    if len(labels):
        expected = sklearn_metrics.confusion_matrix(
            labels, predicted, labels=range(3), normalize=normalize
        )
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def compute(outputs, labels, **options):
    metric = ConfusionMatrix(**options)
    return np.asarray(
        metric.compute(metric.update(metric.empty(), {"outputs": outputs, "labels": labels}))
    )


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_a_row_without_a_place_in_it_is_not_left_out_in_silence(normalize):
    outputs = np.eye(2, dtype=np.float32)[[0, 1, 1]]
    for strange in (-1, 2, -100):
        labels = np.array([0, 1, strange])
        assert np.isnan(compute(outputs, labels, normalize=normalize)).all()
        ignoring = compute(outputs, labels, normalize=normalize, ignore_label=strange)
        assert np.isfinite(ignoring).all()
    broken = outputs.copy()
    broken[1, 0] = np.nan
    assert np.isnan(compute(broken, np.array([0, 1, 1]), normalize=normalize)).all()


def test_counting_is_exact_where_float32_stops():
    state = state_of([1], [1])
    many = state._replace(cells=state.cells.plus(2**24))
    assert int(many.merge(state).cells.low[1, 1]) == 2**24 + 2


def test_an_engine_has_it_as_an_array():
    engine = Engine(lambda engine, batch: batch)
    engine.add_metrics({"confusion": as_metric(ConfusionMatrix())})
    output = {"outputs": np.float32([[0, 1], [1, 0]]), "labels": np.array([1, 1])}
    assert engine.run([output]).metrics["confusion"].tolist() == [[0, 0], [1, 1]]


def test_options_are_checked():
    assert confusion_matrix(2) == ConfusionMatrix()
    assert confusion_matrix(9, normalize="all", **PATHS) == ConfusionMatrix(
        num_classes=9, normalize="all", **PATHS
    )
    with pytest.raises(ValueError, match="normalize: expected one of 'true', 'pred', 'all', None"):
        ConfusionMatrix(normalize="rows")
    for classes in (1, 2**15):
        with pytest.raises(ValueError, match="num_classes: expected 2 to 32,767"):
            ConfusionMatrix(num_classes=classes)
    with pytest.raises(DataError, match="made for 2 classes"):
        compute(np.ones((3, 4), np.float32), np.zeros(3, int))
