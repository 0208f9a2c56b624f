import warnings

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from jaxtrain.metrics import R2Score

UPDATE = jax.jit(R2Score().update)


def r2(outputs, labels, mask=None, *, parts=1, **options):
    metric = R2Score(**options)
    rows = np.array_split(np.arange(len(labels)), parts)
    state = metric.empty()
    for part in rows:
        output = {"outputs": outputs[part], "labels": labels[part]}
        if mask is not None:
            output["mask"] = mask[part]
        state = metric.update(state, output)
    return float(metric.compute(state))


@pytest.mark.parametrize("shape", [(31,), (31, 1), (31, 4)])
@pytest.mark.parametrize("parts", [1, 5, 31])
def test_it_equals_scikit_learn(shape, parts):
    generator = np.random.default_rng(0)
    columns = 4 if shape[1:] == (4,) else 1
    labels = generator.normal(size=shape).astype(np.float32)
    outputs = labels + generator.normal(scale=0.5, size=shape).astype(np.float32)
    labels[:] *= np.arange(1, columns + 1, dtype=np.float32)  # columns of different variance
    mask = (np.arange(31) % 4 > 0).astype(np.float32)
    expected = r2_score(labels, outputs)
    assert r2(outputs, labels, parts=parts, columns=columns) == pytest.approx(expected, rel=1e-5)
    expected = r2_score(labels, outputs, sample_weight=mask)
    found = r2(outputs, labels, mask, parts=parts, columns=columns)
    assert found == pytest.approx(expected, rel=1e-5)


@given(
    labels=st.lists(st.sampled_from([-1.5, 0.0, 0.1, 0.1, 7.0]), min_size=0, max_size=7),
    error=st.sampled_from([0.0, 0.1, -3.0]),
    parts=st.integers(1, 4),
)
def test_it_equals_scikit_learn_on_few_and_equal_labels(labels, error, parts):
    labels = np.array(labels, np.float32)
    outputs = labels + np.float32(error) * (np.arange(len(labels)) % 2 == 0)
    state = R2Score().empty()
    for rows in np.array_split(np.arange(8), parts):  # of one length, so that it compiles once
        padded = {name: np.full(8, np.nan, np.float32) for name in ("outputs", "labels")}
        real = rows[rows < len(labels)]
        padded["outputs"][: len(real)] = outputs[real]
        padded["labels"][: len(real)] = labels[real]
        state = UPDATE(state, padded | {"mask": np.arange(8) < len(real)})
    if len(labels) < 2:
        expected = np.nan
    elif len(set(labels.tolist())) == 1:  # scikit-learn's mean of 0.1 alone is not always 0.1
        expected = 1.0 if error == 0 else 0.0
    else:
        expected = r2_score(labels.astype(np.float64), outputs.astype(np.float64))
    np.testing.assert_allclose(R2Score().compute(state), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("parts", [1, 3, 20])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e20, -1234.567])
def test_labels_that_are_all_equal_are_missed_or_met(parts, value):
    labels = np.full(100, value, np.float32)
    missed = labels.copy()
    missed[-1] = missed[-1] * 2 + 1
    assert r2(labels, labels, parts=parts) == r2_score(np.ones(2), np.ones(2)) == 1.0
    assert r2(missed, labels, parts=parts) == r2_score(np.ones(2), np.array([1.0, 2.0])) == 0.0


def test_one_row_has_none():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(r2_score([1.0], [1.0]))
    assert np.isnan(r2(np.ones(1), np.ones(1)))
    assert np.isnan(r2(np.ones(3), np.ones(3), np.array([0.0, 1.0, 0.0])))
    second_column_unseen = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert np.isnan(r2(np.ones((2, 2)), np.ones((2, 2)), second_column_unseen, columns=2))


@pytest.mark.parametrize("parts", [1, 40])
def test_a_mean_that_is_large_beside_the_deviation_costs_no_digits(parts):
    """Sums of plain squares, 1e12 a label in float32, would come out as anything."""
    generator = np.random.default_rng(0)
    labels = (1e6 + generator.integers(-8, 9, 1000)).astype(np.float32)
    outputs = (labels + generator.integers(-1, 2, 1000)).astype(np.float32)
    expected = r2_score(labels.astype(np.float64), outputs.astype(np.float64))
    assert r2(outputs, labels, parts=parts) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e20])  # whose square is none of float32's
def test_merging_with_nothing_changes_no_bit(size):
    metric, generator = R2Score(), np.random.default_rng(3)
    labels = (size * generator.normal(loc=1e3, size=50) / 1e3).astype(np.float32)
    labels = np.full_like(labels, labels[0]) if size > 1 else labels
    state = metric.empty()
    for part in np.array_split(labels, 7):
        state = metric.update(state, {"outputs": part + 1, "labels": part})
    for merged in (metric.merge(metric.empty(), state), metric.merge(state, metric.empty())):
        for found, expected in zip(jax.tree.leaves(merged), jax.tree.leaves(state), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_many_rows_are_all_counted():
    """A float32 counter stops at 2**24."""
    metric = R2Score()
    state = metric.update(metric.empty(), {"outputs": [0.0, 1.0], "labels": [0.0, 1.0]})
    for _ in range(25):
        state = metric.merge(state, state)
    counted = metric.merge(state, metric.update(metric.empty(), {"outputs": [0], "labels": [0]}))
    assert (int(counted.rows.high[0]), int(counted.rows.low[0])) == (0, 2**26 + 1)
    np.testing.assert_allclose(counted.around_mean.value()[0], 2**24, rtol=1e-6)
