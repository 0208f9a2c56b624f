"""How much each class counts."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.step.class_weights import weights_by_class


def test_numbers_are_taken_as_they_are_and_none_are_none():
    found = weights_by_class((1, 2.5), None)
    assert found.dtype == np.float32
    assert found.tolist() == [1.0, 2.5]
    assert weights_by_class(None, (3, 4)) is None


@pytest.mark.parametrize("counts", [(900, 100), (7, 7, 7), (1, 50, 3, 1000)])
def test_balanced_is_what_scikit_learn_computes(counts):
    from sklearn.utils.class_weight import compute_class_weight

    classes = np.arange(len(counts))
    expected = compute_class_weight("balanced", classes=classes, y=np.repeat(classes, counts))
    found = weights_by_class("balanced", counts)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # All classes have the same share of the weight, and a training row weighs 1 on average.
    shares = found * counts
    np.testing.assert_allclose(shares, sum(counts) / len(counts), rtol=1e-6)


def test_a_class_without_rows_has_no_weight_and_takes_none_from_others():
    found = weights_by_class("balanced", (30, 0, 10))
    np.testing.assert_allclose(found, [40 / (2 * 30), 0, 40 / (2 * 10)], rtol=1e-6)


def test_rows_that_are_ignored_are_not_balanced():
    found = weights_by_class("balanced", (1000, 30, 10), ignored=0)
    np.testing.assert_allclose(found, [0, 40 / 60, 40 / 20], rtol=1e-6)
    for elsewhere in (-100, 2):
        found = weights_by_class("balanced", (30, 10), ignored=elsewhere)
        np.testing.assert_allclose(found, [40 / 60, 40 / 20], rtol=1e-6)


@pytest.mark.parametrize(
    ("counts", "weights", "message"),
    [
        (None, "balanced", r"how many training rows .*\(class_counts\).*a number for each class"),
        ((0, 0), "balanced", "weighs no class at all"),
        ((3, 4), "balancd", "expected 'balanced' or a number a class, found 'balancd'"),
        (None, (0.0, 0.0), "weighs no class at all"),
        (None, (), "weighs no class at all"),
        (None, (1.0, -1.0), "finite numbers of at least 0"),
        (None, (1.0, float("nan")), "finite numbers of at least 0"),
        (None, (1.0, float("inf")), "finite numbers of at least 0"),
        (None, 2.0, "finite numbers of at least 0"),
    ],
)
def test_weights_that_are_none_are_refused_at_once(counts, weights, message):
    with pytest.raises(ConfigError, match=message):
        weights_by_class(weights, counts)
