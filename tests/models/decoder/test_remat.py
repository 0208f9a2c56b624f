import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig, decoder, hidden_states, initial_params

CONFIG = DecoderConfig.llama(vocab_size=16, width=32, layers=3, heads=2, hidden=256)
TOKENS = np.arange(128, dtype=np.int32).reshape(2, 64) % 16


def loss(remat, form, attention="tiled"):
    def total(params):
        hidden = hidden_states(params, CONFIG, TOKENS, remat=remat, form=form, attention=attention)
        return jnp.sum(hidden[..., 0])

    return total


@pytest.fixture(scope="module")
def params():
    return initial_params(jax.random.key(0), CONFIG)


@pytest.mark.parametrize("form", ["scan", "unroll"])
def test_less_and_less_is_kept_and_the_gradient_is_the_same(params, form):
    kept, grads = {}, {}
    for name in ("none", "mlp", "dots", "full"):
        total = loss(name, form)
        _, backward = jax.eval_shape(lambda p, total=total: jax.vjp(total, p), params)
        kept[name] = sum(leaf.size for leaf in jax.tree.leaves(backward))
        grads[name] = jax.jit(jax.grad(total))(params)
    assert kept["none"] > kept["mlp"] > kept["full"]
    assert kept["none"] > kept["dots"] > kept["full"]
    for name in ("mlp", "dots", "full"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            grads[name],
            grads["none"],
        )


def test_full_keeps_an_input_a_layer(params):
    _, backward = jax.eval_shape(lambda p: jax.vjp(loss("full", "scan"), p), params)
    shapes = [leaf.shape for leaf in jax.tree.leaves(backward)]
    inputs = CONFIG.layers * TOKENS.size * CONFIG.width
    stacked = [s for s in shapes if len(s) > 2 and TOKENS.size in s]
    assert sum(int(np.prod(s)) for s in stacked) == inputs


def test_a_model_takes_the_name():
    batch = {"inputs": TOKENS, "labels": TOKENS}
    models = [decoder(CONFIG, remat=name) for name in ("none", "full")]
    variables = models[0].init(jax.random.key(0), batch)
    jaxprs = [
        str(jax.make_jaxpr(lambda v, m=m: m.apply(v, batch, train=True))(variables)) for m in models
    ]
    assert [("remat" in text or "checkpoint" in text) for text in jaxprs] == [False, True]
