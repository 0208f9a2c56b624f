import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.metrics import Metric, Tokens

METRIC = Tokens()


def test_it_counts_the_labels_under_the_mask():
    labels = np.zeros((2, 3), np.int32)
    for mask, expected in (
        ({}, 6),
        ({"mask": np.array([[1, 0.5, 0], [1, 0, 0]])}, 3),
        ({"mask": np.array([0.0, 1.0])}, 3),
    ):
        state = METRIC.update(METRIC.empty(), {"labels": labels, **mask})
        assert float(METRIC.compute(state)) == expected
    ignoring = Tokens(mask=None)
    state = ignoring.update(ignoring.empty(), {"labels": labels, "mask": np.zeros(2)})
    assert float(ignoring.compute(state)) == 6


def test_counting_is_exact_and_merges():
    output = {"labels": jnp.zeros((1, 3), jnp.int32)}
    state = METRIC.update(METRIC.empty().plus(2**24), output)
    assert int(state.low) == 2**24 + 3
    both = METRIC.merge(state, METRIC.empty().plus(2**32 - 1))
    assert (int(both.high), int(both.low)) == (1, 2**24 + 2)
    assert jax.tree.structure(both) == jax.tree.structure(METRIC.empty())


def test_of_nothing_there_are_none():
    assert isinstance(METRIC, Metric)
    value = METRIC.compute(METRIC.empty())
    assert (float(value), value.dtype) == (0.0, jnp.float32)
