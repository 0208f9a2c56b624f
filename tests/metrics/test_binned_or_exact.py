import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.metrics import ExactRocAuc, RocAuc
from jaxtrain.metrics.binned_or_exact import binned_or_exact


def made(exact, bins=None, max_rows=None):
    return binned_or_exact(
        RocAuc, ExactRocAuc, exact=exact, bins=bins, max_rows=max_rows, num_classes=3
    )


def test_each_has_its_options():
    assert made(False) == RocAuc(num_classes=3)
    assert made(False, bins=64) == RocAuc(num_classes=3, bins=64)
    assert made(True) == ExactRocAuc(num_classes=3)
    assert made(True, max_rows=64) == ExactRocAuc(num_classes=3, max_rows=64)


def test_an_option_of_the_other_is_not_passed_over():
    with pytest.raises(ConfigError, match="bins: an exact metric has none, found 64"):
        made(True, bins=64)
    with pytest.raises(ConfigError, match="max_rows: only an exact metric keeps rows, found 64"):
        made(False, max_rows=64)
