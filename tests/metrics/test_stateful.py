import numpy as np

from jaxtrain.metrics import Accuracy, StatefulMetric


def output(hits, misses):
    return {
        "outputs": np.tile(np.array([[0.0, 1.0]], np.float32), (hits + misses, 1)),
        "labels": np.array([1] * hits + [0] * misses),
    }


def test_it_accumulates_and_forgets():
    accuracy = StatefulMetric(Accuracy())
    assert np.isnan(accuracy.compute())
    accuracy.update(output(3, 1))
    accuracy.update(output(0, 1))  # a ragged batch
    assert float(accuracy.compute()) == np.float32(0.6)
    accuracy.reset()
    accuracy.update(output(1, 3))
    assert float(accuracy.compute()) == 0.25


def test_two_of_one_metric_are_independent():
    metric = Accuracy()
    first, second = StatefulMetric(metric), StatefulMetric(metric)
    first.update(output(1, 0))
    assert np.isnan(second.compute())
