import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from jaxtrain.errors import DataError
from jaxtrain.metrics import Accuracy


def accuracy(outputs, labels, *, mask=None, **options):
    metric = Accuracy(**options)
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
    with pytest.raises(DataError, match=r"Accuracy wants .* outputs \(4, 1\), labels \(4, 1\)"):
        accuracy(np.ones((4, 1)), np.ones((4, 1), np.int32))
    with pytest.raises(DataError, match=r"outputs \(\), labels \(\)"):
        accuracy(np.float32(1), np.int32(1))


def test_k_must_fit_the_classes():
    with pytest.raises(ValueError, match="top_k: expected at least 1, found 0"):
        Accuracy(top_k=0)
    with pytest.raises(
        DataError, match="top_k: expected at most the number of classes, 3; found 4"
    ):
        accuracy(np.ones((2, 3)), np.ones(2, np.int32), top_k=4)


# -- labels that are no class, and what does not count -------------------------------------------


@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("label", [-1, -100, 3, 2**31 - 1])
def test_a_label_that_is_no_class_is_wrong(top_k, label):
    outputs = np.array([[0.0, 0.0, 9.0], [9.0, 0.0, 0.0]], np.float32)
    assert accuracy(outputs, np.array([label, 0]), top_k=top_k) == 0.5


@pytest.mark.parametrize("top_k", [1, 2])
def test_a_wide_label_does_not_wrap_around_into_a_class(top_k):
    with jax.enable_x64(True):
        outputs = jnp.array([[9.0, 0.0, 0.0]] * 3, jnp.float32)
        labels = jnp.array([2**32, -(2**32), 0], jnp.int64)
        assert accuracy(outputs, labels, top_k=top_k) == pytest.approx(1 / 3)
        assert accuracy(outputs, labels, ignore_label=2**32) == pytest.approx(1 / 2)
        assert accuracy(outputs, jnp.array([2**32, 0, 0], jnp.uint64)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "bool"])
def test_labels_of_any_whole_dtype(dtype):
    outputs = np.zeros((2, 300), np.float32)
    outputs[:, 1] = 1.0
    assert accuracy(outputs, np.array([1, 0]).astype(dtype)) == 0.5


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_labels_that_are_no_whole_numbers_are_refused(dtype):
    with pytest.raises(DataError, match=f"labels that are whole numbers, found labels of {dtype}"):
        accuracy(np.ones((2, 3)), np.array([1.7, 0.0], dtype))


@pytest.mark.parametrize(
    ("ignored", "dtype"), [(-100, "int32"), (-100, "int16"), (255, "uint8"), (2, "int32")]
)
def test_rows_of_the_ignored_label_do_not_count(ignored, dtype):
    outputs = np.array([[0, 9, 0], [9, 0, 0], [0, 0, 9], [0, 0, 9]], np.float32)
    labels = np.array([1, 1, ignored, ignored], dtype)
    assert accuracy(outputs, labels, ignore_label=ignored) == 0.5
    mask = np.array([0, 1, 1, 1], np.float32)
    assert accuracy(outputs, labels, mask=mask, ignore_label=ignored) == 0.0
    assert np.isnan(accuracy(outputs[2:], labels[2:], ignore_label=ignored))


def test_a_label_to_ignore_that_the_dtype_can_not_hold_ignores_nothing():
    outputs = np.array([[0, 9], [0, 9]], np.float32)
    for dtype in (np.uint8, np.uint32):
        assert accuracy(outputs, np.array([1, 0], dtype), ignore_label=-100) == 0.5
        assert accuracy(outputs, np.array([1, 0], dtype), ignore_label=2**40) == 0.5


@pytest.mark.parametrize("top_k", [1, 2])
def test_a_row_with_nan_is_wrong_whatever_its_label(top_k):
    outputs = np.full((3, 3), np.nan, np.float32)
    assert accuracy(outputs, np.array([0, 1, 2]), top_k=top_k) == 0.0
    one = np.array([[np.nan, 9.0, 0.0]] * 2, np.float32)
    assert accuracy(one, np.array([0, 1]), top_k=top_k) == 0.0
    sound = np.array([[np.inf, 9.0, -np.inf]] * 2, np.float32)
    assert accuracy(sound, np.array([0, 2]), top_k=top_k) == 0.5


def test_whole_numbers_as_outputs():
    assert accuracy(np.array([[0, 9], [9, 0]]), np.array([1, 1])) == 0.5


# -- several heads -------------------------------------------------------------------------------


def test_a_head_is_named_by_its_path():
    good, bad = np.array([[0.0, 9.0]] * 2, np.float32), np.array([[9.0, 0.0]] * 2, np.float32)
    output = {
        "outputs": {"a": good, "b": (bad, good)},
        "labels": {"a": np.array([1, 0]), "b": np.array([1, 1])},
        "mask": np.ones((2, 7)),  # over tokens, say
        "rows": np.array([1.0, 0.0]),
    }

    def of(**options):
        metric = Accuracy(**options)
        return float(metric.compute(metric.update(metric.empty(), output)))

    assert of(outputs="outputs.a", labels="labels.a", mask=None) == 0.5
    assert of(outputs="outputs.a", labels="labels.a", mask="rows") == 1.0
    assert of(outputs="outputs.b.0", labels="labels.b", mask="rows") == 0.0
    with pytest.raises(DataError, match=r"Accuracy: the mask has shape \(2, 7\)"):
        of(outputs="outputs.a", labels="labels.a")
    with pytest.raises(DataError, match=r"Accuracy reads 'outputs', .* of 'outputs\.a', 'outp"):
        of()
