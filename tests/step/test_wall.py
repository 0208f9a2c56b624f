"""A wall: what stands behind it is computed, and is a loop of its own in the program."""

import jax
import jax.numpy as jnp

from jaxtrain.step.wall import apart, wall


def test_what_stands_apart_is_in_a_loop_of_its_own():
    def function(carried):
        return carried + 1, {"twice": jnp.sin(carried)}

    step = jax.jit(lambda step, x: apart(step, function, x))
    compiled = step.lower(jnp.int32(3), jnp.float32(0.5)).compile()
    new, said = compiled(jnp.int32(3), jnp.float32(0.5))
    assert float(new) == 1.5
    assert abs(float(said["twice"]) - 0.479425) < 1e-5
    assert " while(" in compiled.as_text()
    assert int(wall(jnp.int32(0))) == int(wall(jnp.int32(7))) == 1
