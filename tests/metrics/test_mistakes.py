"""The worst mistakes: the right rows, in the right order, whatever batches they come in."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics import WorstMistakes


def by_hand(logits, labels, count):
    """Rows, labels, classes and losses by NumPy in float64, worst first."""
    logits = logits.astype(np.float64)
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    said = logits.argmax(1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-loss[wrong], kind="stable")][:count]
    return np.stack([worst, labels[worst], said[worst], loss[worst]], axis=1)


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    return random.normal(size=(60, 5)).astype(np.float32) * 3, random.integers(0, 5, 60)


@pytest.mark.parametrize("size", [60, 7, 1])
def test_whatever_the_batches_are(rows, size):
    logits, labels = rows
    metric = WorstMistakes(count=10)
    update = jax.jit(metric.update)
    state = metric.empty()
    for start in range(0, 60, size):
        part = slice(start, start + size)
        padding = size - len(labels[part])
        state = update(
            state,
            {
                "outputs": np.pad(logits[part], ((0, padding), (0, 0)), constant_values=np.nan),
                "labels": np.pad(labels[part], (0, padding)),
                "mask": np.arange(size) < size - padding,
            },
        )
    np.testing.assert_allclose(metric.compute(state), by_hand(logits, labels, 10), rtol=1e-5)


def test_parts_are_merged_in_their_order(rows):
    logits, labels = rows
    metric = WorstMistakes(count=4)
    parts = [
        metric.update(metric.empty(), {"outputs": logits[part], "labels": labels[part]})
        for part in (slice(0, 20), slice(20, 45), slice(45, 60))
    ]
    expected = by_hand(logits, labels, 4)
    a, b, c = parts
    for merged in (
        metric.merge(metric.merge(a, b), c),
        metric.merge(a, metric.merge(b, c)),
        metric.merge(
            metric.merge(metric.empty(), metric.merge(a, b)), metric.merge(c, metric.empty())
        ),
    ):
        np.testing.assert_allclose(metric.compute(merged), expected, rtol=1e-5)


def test_fewer_mistakes_than_lines_and_none():
    metric = WorstMistakes(count=3)
    right = {"outputs": [[3.0, 0.0], [0.0, 3.0]], "labels": [0, 1]}
    found = np.asarray(metric.compute(metric.update(metric.empty(), right)))
    assert found.shape == (3, 4)
    assert np.isnan(found).all()
    wrong = {"outputs": [[3.0, 0.0], [0.0, 3.0]], "labels": [0, 0]}
    found = np.asarray(metric.compute(metric.update(metric.empty(), wrong)))
    assert found[0, :3].tolist() == [1, 0, 1]
    assert np.isnan(found[1:]).all()


def test_what_does_not_count_is_no_mistake():
    outputs = jnp.array([[9.0, 0.0], [8.0, 0.0], [7.0, 0.0], [jnp.nan, 0.0], [6.0, 0.0]])
    output = {
        "outputs": outputs,
        "labels": jnp.array([1, -1, 5, 1, 1]),
        "mask": jnp.array([0, 1, 1, 1, 1]),
    }
    metric = WorstMistakes(count=5, ignore_label=-1)
    found = np.asarray(metric.compute(metric.update(metric.empty(), output)))
    assert found[:, 0][~np.isnan(found[:, 0])].tolist() == [4]


def test_of_equal_losses_the_first():
    output = {"outputs": [[2.0, 0.0]] * 4, "labels": [1] * 4}
    metric = WorstMistakes(count=2)
    state = metric.update(metric.update(metric.empty(), output), output)
    assert metric.compute(state)[:, 0].tolist() == [0, 1]


def test_members_of_a_population(rows):
    logits, labels = rows
    metric = WorstMistakes(count=3)
    outputs = {"outputs": np.stack([logits, -logits]), "labels": np.stack([labels, labels])}
    states = jax.vmap(metric.update)(jax.vmap(lambda _: metric.empty())(jnp.arange(2)), outputs)
    found = jax.vmap(metric.compute)(states)
    for member, values in enumerate((logits, -logits)):
        np.testing.assert_allclose(found[member], by_hand(values, labels, 3), rtol=1e-5)


def test_what_does_not_fit():
    metric = WorstMistakes()
    with pytest.raises(DataError, match=r"WorstMistakes: expected one label a row, found \(2, 3\)"):
        metric.update(
            metric.empty(), {"outputs": np.zeros((2, 3, 4)), "labels": np.zeros((2, 3), int)}
        )
    with pytest.raises(DataError, match="whole numbers"):
        metric.update(metric.empty(), {"outputs": np.zeros((2, 3)), "labels": np.zeros(2)})
    with pytest.raises(ValueError, match="at least 1"):
        WorstMistakes(count=0)
