import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from jaxtrain.metrics import Accuracy, TokenAccuracy, better

METRIC = TokenAccuracy()


def accuracy(output, metric=METRIC):
    return float(metric.compute(metric.update(metric.empty(), output)))


def test_of_logits_it_equals_scikit_learn_and_the_other_accuracy():
    random = np.random.default_rng(0)
    logits = random.normal(size=(5, 9, 3)).astype(np.float32)
    labels, mask = random.integers(0, 3, (5, 9)), random.integers(0, 2, (5, 9))
    output = {"outputs": logits, "labels": labels, "mask": mask}
    expected = accuracy_score(
        labels.reshape(-1), logits.argmax(-1).reshape(-1), sample_weight=mask.reshape(-1)
    )
    assert accuracy(output) == pytest.approx(expected, rel=1e-6)
    assert accuracy(output) == accuracy(output, Accuracy())


def test_what_the_model_says_is_counted_exactly():
    state = METRIC.empty()
    state = state._replace(hits=state.hits.plus(2**24), rows=state.rows.plus(2**25))
    output = {"outputs": {"correct": jnp.array([[1.0, 0.0]])}}
    state = METRIC.update(METRIC.update(state, output), output)
    assert (int(state.hits.low), int(state.rows.low)) == (2**24 + 2, 2**25 + 4)


def test_rows_of_padding_do_not_count():
    output = {"outputs": {"correct": jnp.ones((2, 3))}, "mask": jnp.array([1.0, 0.0])}
    state = METRIC.update(METRIC.empty(), output)
    assert int(state.rows.low) == 3
    assert np.isnan(METRIC.compute(METRIC.empty()))


def test_more_of_it_is_better():
    assert (better("val/token_accuracy"), better("val/perplexity")) == ("max", "min")
