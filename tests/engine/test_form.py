"""The rule that chooses a form, and what it reads: every primitive, however deep."""

import jax
import jax.numpy as jnp
import pytest

from jaxtrain.compiling import primitives
from jaxtrain.engine.form import FORMS, choose_form

IMAGES, KERNEL = jnp.ones((1, 1, 4, 4)), jnp.ones((1, 1, 3, 3))


def convolve(images):
    return jax.lax.conv(images, KERNEL, (1, 1), "SAME")


@jax.custom_vjp
def with_a_gradient_of_its_own(images):
    return convolve(images)


with_a_gradient_of_its_own.defvjp(lambda x: (convolve(x), None), lambda _, g: (g,))


@jax.custom_jvp
def with_a_derivative_of_its_own(images):
    return convolve(images)


with_a_derivative_of_its_own.defjvp(lambda x, dx: (convolve(*x), dx[0]))

# Each hides the convolution in an inner jaxpr, or several of them.
HIDDEN = {
    "at the top": convolve,
    "jit": jax.jit(convolve),
    "scan": lambda x: jax.lax.scan(lambda c, _: (convolve(c), None), x, length=2)[0],
    "fori_loop": lambda x: jax.lax.fori_loop(0, 2, lambda i, c: convolve(c), x),
    "while_loop": lambda x: jax.lax.while_loop(lambda c: c.sum() < 9, convolve, x),
    "condition of a while_loop": lambda x: jax.lax.while_loop(
        lambda c: convolve(c).sum() < 9, lambda c: c + 1, x
    ),
    "first branch": lambda x: jax.lax.cond(x.sum() > 0, convolve, jnp.sin, x),
    "last branch": lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, convolve, x),
    "checkpoint": jax.checkpoint(convolve),
    "custom_vjp": with_a_gradient_of_its_own,
    "custom_jvp": with_a_derivative_of_its_own,
    "gradient": jax.grad(lambda x: convolve(x).sum()),
    "vmap": lambda x: jax.vmap(convolve)(x[None]),
    "scan in a jit in a scan": lambda x: jax.lax.scan(
        lambda c, _: (jax.jit(HIDDEN["scan"])(c), None), x, length=2
    )[0],
}


@pytest.mark.parametrize("where", HIDDEN)
def test_a_convolution_is_found_wherever_it_is(where):
    jaxpr = jax.make_jaxpr(HIDDEN[where])(IMAGES)
    assert "conv_general_dilated" in primitives(jaxpr)
    assert choose_form(jaxpr, "cpu") == "single"


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
@pytest.mark.parametrize("where", HIDDEN)
def test_only_a_cpu_runs_it_one_at_a_time(where, platform):
    assert choose_form(jax.make_jaxpr(HIDDEN[where])(IMAGES), platform) == "fused"


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_other_steps_are_fused(platform):
    def step(x):
        return jax.lax.fori_loop(0, 3, lambda i, v: jnp.sin(v) @ v, x)

    assert choose_form(jax.make_jaxpr(step)(jnp.eye(3)), platform) == "fused"


@pytest.mark.parametrize(("reduce", "start"), [(jax.lax.max, -jnp.inf), (jax.lax.add, 0.0)])
def test_pooling_on_a_cpu_is_single(reduce, start):
    def pool(x):
        return jax.lax.reduce_window(x, start, reduce, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    jaxpr = jax.make_jaxpr(pool)(IMAGES)
    assert choose_form(jaxpr, "cpu") == "single"
    assert choose_form(jaxpr, "gpu") == "fused"


def test_every_primitive_is_named_once_for_each_time_it_stands_there():
    def step(x):
        return jax.lax.cond(x > 0, jnp.sin, lambda v: jnp.cos(jnp.sin(v)), x)

    named = list(primitives(jax.make_jaxpr(step)(1.0)))
    assert (named.count("sin"), named.count("cos"), named.count("cond")) == (2, 1, 1)


def test_what_jax_gives_can_be_read_without_opening_it():
    """`make_jaxpr` gives a `ClosedJaxpr` before JAX 0.11, a `Jaxpr` since; both have the three."""
    jaxpr = jax.make_jaxpr(jnp.sin)(1.0)
    assert len(jaxpr.invars) == len(jaxpr.outvars) == len(jaxpr.eqns) == 1


def test_the_rule_gives_a_form_that_there_is():
    assert choose_form(jax.make_jaxpr(jnp.sin)(1.0), "cpu") in FORMS
