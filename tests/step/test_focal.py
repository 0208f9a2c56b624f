import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.step import cross_entropy, focal

RANDOM = np.random.default_rng(0)
LOGITS = (3 * RANDOM.normal(size=(10, 3))).astype(np.float32)
BATCH = {
    "labels": RANDOM.integers(0, 3, 10).astype(np.int32),
    "row_mask": np.array([1, 1, 0, 1, 1, 1, 1, 0, 1, 1], np.float32),
}


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_it_is_the_formula_of_the_paper(gamma):
    p = np.exp(LOGITS.astype(np.float64))
    p = (p / p.sum(axis=1, keepdims=True))[np.arange(10), BATCH["labels"]]
    expected = (-((1 - p) ** gamma) * np.log(p) * BATCH["row_mask"]).sum()
    total, weight = focal(gamma=gamma)(LOGITS, BATCH)
    assert float(total) == pytest.approx(expected, rel=1e-5)
    assert float(weight) == 8


@pytest.mark.parametrize(
    "options",
    [{}, {"class_weights": (1.0, 0.0, 4.0)}, {"ignore_label": 1}, {"outputs": "a", "labels": "b"}],
)
def test_without_gamma_it_is_the_cross_entropy(options):
    outputs = {"a": LOGITS} if "outputs" in options else LOGITS
    batch = BATCH | {"b": BATCH["labels"]}
    expected = cross_entropy(**options)(outputs, batch)
    np.testing.assert_allclose(focal(gamma=0.0, **options)(outputs, batch), expected, rtol=1e-6)


def test_weights_are_those_of_the_labels():
    total, weight = focal(class_weights=(1.0, 2.0, 4.0))(LOGITS, BATCH)
    each = [
        focal()(LOGITS[i : i + 1], {"labels": BATCH["labels"][i : i + 1]})[0] for i in range(10)
    ]
    own = np.array([1.0, 2.0, 4.0])[BATCH["labels"]] * BATCH["row_mask"]
    assert float(weight) == own.sum()
    assert float(total) == pytest.approx((np.array(each) * own).sum(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_gradient_is_finite_where_all_is_known(gamma):
    sure = np.array([[100.0, 0.0, 0.0], [-100.0, 50.0, 0.0]], np.float32)
    labels = {"labels": np.array([0, 1])}
    grad = jax.grad(lambda logits: focal(gamma=gamma)(logits, labels)[0])(sure)
    np.testing.assert_array_equal(grad, 0.0)
    wrong = jax.grad(lambda logits: focal(gamma=gamma)(logits, {"labels": np.array([1, 2])})[0])(
        sure
    )
    assert np.isfinite(wrong).all()
    assert np.abs(wrong).max() > 0.9


def test_a_label_that_is_no_class_is_nan_and_nan_in_padding_is_not():
    bad = BATCH | {"labels": np.where(np.arange(10) == 4, 7, BATCH["labels"])}
    assert np.isnan(focal()(LOGITS, bad)[0])
    spoilt = np.where(BATCH["row_mask"][:, None] > 0, LOGITS, np.nan)
    np.testing.assert_allclose(focal()(spoilt, BATCH), focal()(LOGITS, BATCH), rtol=1e-6)
    grad = jax.grad(lambda x: focal(class_weights=(1.0, 2.0, 0.5))(x, BATCH)[0])(jnp.array(spoilt))
    assert np.isfinite(grad).all()


def test_it_names_itself():
    with pytest.raises(DataError, match=r"^focal: logits \(10, 3\)"):
        focal()(LOGITS, {"labels": np.zeros(9, int)})
    with pytest.raises(ConfigError, match="for each of the 3 classes, found 2"):
        focal(class_weights=(1.0, 2.0))(LOGITS, BATCH)
