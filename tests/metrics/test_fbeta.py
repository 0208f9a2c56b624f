import math

import pytest

from jaxtrain.metrics import METRICS, FBeta
from jaxtrain.metrics.fbeta import f1, fbeta
from tests.metrics.options import OPTIONS


def test_a_config_makes_it_of_the_classes_that_the_data_have():
    assert (METRICS["f1"], METRICS["fbeta"]) == (f1, fbeta)
    assert f1(2) == FBeta()
    assert f1(7, **OPTIONS) == FBeta(num_classes=7, **OPTIONS)
    assert fbeta(7, beta=0.5, **OPTIONS) == FBeta(beta=0.5, num_classes=7, **OPTIONS)


@pytest.mark.parametrize("beta", [-1.0, math.inf, math.nan])
def test_a_beta_that_is_none_is_refused(beta):
    with pytest.raises(ValueError, match="beta: expected a number of at least 0"):
        FBeta(beta=beta)
