import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.encoder_layer import EncoderLayer, SelfAttention

HIDDEN = jax.random.normal(jax.random.key(1), (64, 5, 8))


def test_attention_is_the_formula_over_real_steps():
    module = SelfAttention(2)
    real = jnp.arange(5)[None] < jnp.array([[3], [5]])
    hidden = HIDDEN[:2]
    variables = module.init(jax.random.key(0), hidden, real)
    found = module.apply(variables, hidden, real)
    params = jax.tree.map(np.asarray, variables["params"])
    for row, length in ((0, 3), (1, 5)):
        steps = np.asarray(hidden[row, :length])
        qkv = steps @ params["qkv"]["kernel"]
        mixed = []
        for head in range(2):
            q, k, v = (qkv[:, 8 * i + 4 * head : 8 * i + 4 * head + 4] for i in range(3))
            scores = np.exp(q @ k.T / 2)
            mixed.append(scores / scores.sum(axis=1, keepdims=True) @ v)
        expected = np.concatenate(mixed, axis=1) @ params["out"]["kernel"]
        np.testing.assert_allclose(found[row, :length], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_layer_that_is_left_out_of_a_row_hands_it_on(norm):
    module = EncoderLayer(2, 16, norm, stochastic_depth=0.5)
    variables = jax.jit(lambda key: module.init(key, HIDDEN, None, train=False))(jax.random.key(0))
    key = jax.random.key(2)
    found = module.apply(variables, HIDDEN, None, train=True, rngs={"dropout": key})
    plain = module.apply(variables, HIDDEN, None, train=False)
    normed = (HIDDEN - HIDDEN.mean(-1, keepdims=True)) / HIDDEN.std(-1, keepdims=True)
    as_it_was = HIDDEN if norm == "pre" else normed
    left_out = np.abs(found - as_it_was).max(axis=(1, 2)) < 1e-4
    # Both branches, each in half of the rows.
    assert abs(left_out.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 64)
    assert (np.abs(found - plain).max(axis=(1, 2)) > 1e-3).all()


def test_dropout_is_at_three_places():
    """On what each branch adds, and in the middle of the feed-forward."""
    module = EncoderLayer(2, 16, activation="relu", dropout=0.5)
    hidden = jnp.zeros((64, 5, 8))
    made = jax.jit(lambda key: module.init(key, hidden, None, train=False))(jax.random.key(0))
    silent = jax.tree.map(jnp.zeros_like, made["params"])

    @jax.jit
    def added(params):
        rngs = {"dropout": jax.random.key(1)}
        found = module.apply({"params": params}, hidden, None, train=True, rngs=rngs)
        return jnp.unique(found, size=40, fill_value=0)

    def changed(**layers):
        return {**silent, **{name: {**silent[name], **new} for name, new in layers.items()}}

    out = {**silent["attention"]["out"], "bias": jnp.ones(8)}
    assert set(added(changed(attention={"out": out})).tolist()) == {0, 2}
    assert set(added(changed(project={"bias": jnp.ones(8)})).tolist()) == {0, 2}
    # Ones in the middle, of which about half are left, doubled, and counted.
    counted = changed(expand={"bias": jnp.ones(16)}, project={"kernel": jnp.ones((16, 8))})
    found = set(added(counted).tolist())
    assert len(found) > 5
    assert all(value % 4 == 0 for value in found)


def test_initialisation_is_as_stated():
    module = EncoderLayer(2, 64)
    hidden = jnp.zeros((1, 2, 32))
    params = module.init(jax.random.key(0), hidden, None, train=False)["params"]
    for layer, fans in (
        (params["expand"], 32 + 64),
        (params["project"], 64 + 32),
        (params["attention"]["qkv"], 32 + 96),
        (params["attention"]["out"], 32 + 32),
    ):
        limit = np.sqrt(6 / fans)
        kernel = np.abs(layer["kernel"])
        assert 0.99 * limit < kernel.max() <= limit
        assert kernel.mean() == pytest.approx(limit / 2, rel=0.05)
        assert not layer["bias"].any()
