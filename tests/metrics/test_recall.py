from jaxtrain.metrics import METRICS, Recall
from jaxtrain.metrics.recall import recall
from tests.metrics.options import OPTIONS


def test_a_config_makes_it_of_the_classes_that_the_data_have():
    assert METRICS["recall"] is recall
    assert recall(2) == Recall()
    assert recall(7, **OPTIONS) == Recall(num_classes=7, **OPTIONS)
