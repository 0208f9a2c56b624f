from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxtrain.errors import ConfigError
from jaxtrain.lora.previous import apply_with_kl
from jaxtrain.models.model import Model


def reading(outputs_of, **fields):
    """A model that puts out what `outputs_of` makes of its one parameter, and says what it saw."""

    def apply(variables, batch, *, train, rngs=None):
        return outputs_of(variables["params"], train), {"seen": jnp.ones(()) if train else None}

    return Model(lambda rng, batch: {}, apply, **fields)


PLAIN = reading(lambda logits, train: logits)
EVEN = jnp.zeros((3, 2))
NOW = jnp.log(jnp.array([[4.0, 1], [1, 1], [9, 1]]))
EACH = [np.log(0.5) - np.log(0.16) / 2, 0, np.log(0.5) - np.log(0.09) / 2]


def kl(now, before, batch, model=PLAIN):
    return apply_with_kl(model, {"params": now}, {"params": before}, batch, rngs=None)[2]


def test_by_hand():
    """p = (1/2, 1/2), q = (4/5, 1/5), (1/2, 1/2), (9/10, 1/10)."""
    np.testing.assert_allclose(kl(NOW, EVEN, {}), np.mean(EACH), rtol=1e-6)
    assert kl(NOW, NOW, {}) == 0
    # The other way round it is another number.
    backward = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    np.testing.assert_allclose(kl(EVEN[:1], NOW[:1], {}), backward, rtol=1e-6)


def test_the_mean_is_over_what_counts():
    rows = {"row_mask": jnp.array([1.0, 1, 0])}
    np.testing.assert_allclose(kl(NOW, EVEN, rows), np.mean(EACH[:2]), rtol=1e-6)
    tokens = rows | {"mask": jnp.array([[1.0, 0.0], [0.5, 0], [1, 1]])}
    two = [jnp.stack([x, 3 * x], axis=1) for x in (NOW, EVEN)]
    np.testing.assert_allclose(kl(*two, tokens), EACH[0] / 1.5, rtol=1e-6)
    assert kl(NOW, EVEN, {"row_mask": jnp.zeros(3)}) == 0


def test_padding_may_be_anything():
    rows = {"row_mask": jnp.array([1.0, 1, 0])}
    broken = NOW.at[2].set(jnp.nan)
    value, gradient = jax.value_and_grad(kl)(broken, EVEN.at[2].set(jnp.inf), rows)
    np.testing.assert_allclose(value, np.mean(EACH[:2]), rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert gradient[0].any()
    assert not gradient[2].any()


def test_gradients_are_those_of_differences_and_none_of_what_was():
    check_grads(lambda x: kl(x, EVEN, {}), (NOW,), 1, modes=["rev"], rtol=1e-2, eps=1e-2)
    assert not jax.grad(kl, 1)(NOW, EVEN + 0.5 * NOW, {}).any()


def test_what_was_is_evaluated():
    model = reading(lambda logits, train: logits + (jnp.array([1.0, 0]) if train else 0))
    outputs, updated, _ = apply_with_kl(
        model, {"params": EVEN}, {"params": EVEN}, {}, rngs={"dropout": jax.random.key(0)}
    )
    np.testing.assert_array_equal(outputs[:, 0], 1)
    assert updated["seen"] == 1
    q = np.array([np.e, 1]) / (np.e + 1)
    np.testing.assert_allclose(kl(EVEN, EVEN, {}, model), -np.log(2 * np.sqrt(q.prod())), rtol=1e-5)


def test_logits_of_a_dict_and_a_way_of_the_models_own():
    named = reading(lambda logits, train: {"logits": logits, "hidden": jnp.ones(3)})
    np.testing.assert_allclose(kl(NOW, EVEN, {}, named), np.mean(EACH), rtol=1e-6)

    def own(variables, reference, batch, *, train, rngs=None):
        assert train
        return "outputs", {"seen": 2}, variables["params"] - reference["params"]

    model = reading(lambda logits, train: {"nll": logits}, apply_with_kl=own)
    given = {"row_mask": jnp.array([1.0, 3])}
    found = apply_with_kl(
        model, {"params": jnp.array([4.0, 8])}, {"params": jnp.array([1.0, 1])}, given, rngs=None
    )
    assert found[:2] == ("outputs", {"seen": 2})
    assert found[2] == (3 + 3 * 7) / 4


@pytest.mark.parametrize(
    ("outputs_of", "said"),
    [
        (lambda x, train: {"nll": x, "log_z": x}, "puts out 'nll', 'log_z'; expected logits"),
        (lambda x, train: (x, x), "puts out several arrays"),
        (lambda x, train: x[:, :1], r"found outputs \(3, 1\): what predicts a number"),
        (lambda x, train: x[:, 0], r"found outputs \(3,\)"),
    ],
)
def test_what_are_no_logits(outputs_of, said):
    with pytest.raises(ConfigError, match=said):
        kl(NOW, EVEN, {}, reading(outputs_of))
