from jaxtrain.metrics import METRICS, Precision
from jaxtrain.metrics.precision import precision
from tests.metrics.options import OPTIONS


def test_a_config_makes_it_of_the_classes_that_the_data_have():
    assert METRICS["precision"] is precision
    assert precision(2) == Precision()
    assert precision(7, **OPTIONS) == Precision(num_classes=7, **OPTIONS)
