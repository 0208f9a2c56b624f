import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from jaxtrain.errors import DataError
from jaxtrain.metrics import Accuracy


def accuracy(outputs, labels, *, mask=None, top_k=1):
    metric = Accuracy(top_k=top_k)
    output = {"outputs": outputs, "labels": labels}
    if mask is not None:
        output["mask"] = mask
    return float(metric.compute(metric.update(metric.empty(), output)))


@pytest.fixture
def scores():
    generator = np.random.default_rng(0)
    return generator.normal(size=(997, 7)).astype(np.float32), generator.integers(0, 7, 997)


def test_it_equals_scikit_learn(scores):
    outputs, labels = scores
    assert accuracy(outputs, labels) == pytest.approx(
        accuracy_score(labels, outputs.argmax(1)), rel=1e-7
    )


@pytest.mark.parametrize("top_k", [1, 2, 5, 7])
def test_top_k_equals_scikit_learn(scores, top_k):
    outputs, labels = scores
    expected = top_k_accuracy_score(labels, outputs, k=top_k) if top_k < 7 else 1.0
    assert accuracy(outputs, labels, top_k=top_k) == pytest.approx(expected, rel=1e-7)


def test_masked_rows_are_weights_of_zero(scores):
    outputs, labels = scores
    mask = np.arange(997) % 3 > 0
    assert accuracy(outputs, labels, mask=mask.astype(np.float32)) == pytest.approx(
        accuracy_score(labels, outputs.argmax(1), sample_weight=mask), rel=1e-7
    )


def test_ties_go_to_the_lower_class_for_every_k():
    flat = np.zeros((3, 4), np.float32)
    assert accuracy(flat, np.array([0, 1, 2])) == pytest.approx(1 / 3)
    assert accuracy(flat, np.array([0, 1, 2]), top_k=2) == pytest.approx(2 / 3)


def test_more_classes_than_the_dtype_of_the_labels_can_count():
    outputs = np.zeros((1, 300), np.float32)
    outputs[0, 256] = 1.0
    assert accuracy(outputs, np.zeros(1, np.uint8)) == 0.0


def test_tokens_count_one_by_one():
    outputs = np.zeros((2, 3, 2), np.float32)
    outputs[..., 1] = 1.0
    labels = np.array([[1, 1, 0], [1, 0, 0]])
    assert accuracy(outputs, labels) == pytest.approx(3 / 6)
    mask = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    assert accuracy(outputs, labels, mask=mask) == 1.0


def test_counting_is_exact_where_float32_stops():
    metric = Accuracy()
    state = metric.empty()._replace(
        hits=metric.empty().hits.plus(2**24), rows=metric.empty().rows.plus(2**25)
    )
    output = {"outputs": jnp.array([[0.0, 1.0]]), "labels": jnp.array([1])}
    state = metric.update(metric.update(state, output), output)
    assert int(state.hits.low) == 2**24 + 2
    assert int(state.rows.low) == 2**25 + 2


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"outputs \(4, 1\), labels \(4, 1\)"):
        accuracy(np.ones((4, 1)), np.ones((4, 1), np.int32))


def test_k_must_fit_the_classes():
    with pytest.raises(ValueError, match="top_k: expected at least 1, found 0"):
        Accuracy(top_k=0)
    with pytest.raises(
        DataError, match="top_k: expected at most the number of classes, 3; found 4"
    ):
        accuracy(np.ones((2, 3)), np.ones(2, np.int32), top_k=4)
