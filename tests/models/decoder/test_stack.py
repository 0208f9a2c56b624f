import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxtrain.models.decoder import DecoderConfig, hidden_states, initial_params
from jaxtrain.models.decoder.stack import unstack

CONFIG = DecoderConfig.llama(vocab_size=16, width=16, layers=3, heads=2)
TOKENS = np.arange(20, dtype=np.int32).reshape(2, 10) % 16

# Compiled as a whole, not an operation at a time.
states = jax.jit(hidden_states, static_argnums=1, static_argnames=("form", "remat", "attention"))


def test_both_forms_give_the_same_values_and_gradients():
    params = initial_params(jax.random.key(0), CONFIG)

    def total(params, form):
        return jnp.sum(states(params, CONFIG, TOKENS, form=form)[..., :3])

    scan, unroll = (
        jax.jit(jax.value_and_grad(total), static_argnums=1)(params, form)
        for form in ("scan", "unroll")
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), scan, unroll)


def test_layers_are_taken_in_their_order():
    params = initial_params(jax.random.key(0), CONFIG)
    swapped = params | {"layers": jax.tree.map(lambda x: x[::-1], params["layers"])}
    for form in ("scan", "unroll"):
        first, second = (states(p, CONFIG, TOKENS, form=form) for p in (params, swapped))
        assert np.abs(first - second).max() > 1e-3


def test_gradients_are_stacked_once():
    leaf = jnp.arange(12.0).reshape(3, 4)

    def total(leaf):
        return sum(jnp.sum((i + 1) * x["a"]) for i, x in enumerate(unstack({"a": leaf})))

    np.testing.assert_array_equal(
        jax.grad(total)(leaf), np.repeat([[1.0], [2.0], [3.0]], 4, axis=1)
    )
    jaxpr = jax.make_jaxpr(jax.grad(total))(leaf)
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    names = [equation.primitive.name for equation in jaxpr.eqns]
    assert names.count("concatenate") == 1 or "stack" in str(jaxpr)
    assert not {"pad", "add_any", "scatter-add"} & set(names)
