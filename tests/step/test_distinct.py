"""Each expression once: the same values, fewer equations, also within loops."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.step.distinct import distinct


def function(x):
    def body(carry, _):
        return carry + jnp.sin(carry) + jnp.sin(carry), None

    looped, _ = jax.lax.scan(body, x, length=3)
    total = x.sum(1, keepdims=True)
    kept = jax.checkpoint(jnp.cos)(x)
    return {"a": x / total + looped, "b": jnp.cos(x) / total + jnp.cos(x) + kept}


def test_the_values_stay_and_equations_go():
    x = jnp.arange(1.0, 7.0).reshape(2, 3)
    found, expected = distinct(function)(x), function(x)
    for name in ("a", "b"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    text = str(jax.make_jaxpr(distinct(function))(x))
    assert text.count("= sin ") == 1
    assert text.count("= cos ") == 2  # that of the checkpoint is its own
    assert text.count("= reshape[") == 1  # the total is spread out once for both quotients
