"""What is compiled for one run: the same numbers, also where it is a part of something else."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.step.once import once
from tests import compiling

BOTH = """
import jax, numpy as np
from jaxtrain.models import mlp
from jaxtrain.step import once
init = mlp(10, hidden=(16,)).init
given = jax.random.key(0), {"inputs": np.zeros((2, 8), np.float32)}
made = [jax.tree.leaves(f(*given)) for f in (lambda *a: once.once(init, *a), jax.jit(init))]
assert [a.tobytes() for a in made[0]] == [b.tobytes() for b in made[1]]
print("same")
"""


def drawn(key, scale):
    return {"w": scale * jax.random.normal(key, (5,))}


def test_a_users_program_makes_the_bits_that_jit_makes():
    done = subprocess.run(
        [sys.executable, "-c", BOTH],
        env={**os.environ, **compiling.FULLY, **compiling.READS},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "same\n", done.stderr


@pytest.fixture
def options(monkeypatch):
    """What jit is given."""
    found, jit = [], jax.jit
    monkeypatch.setattr(
        jax, "jit", lambda f, **options: found.append(options["compiler_options"]) or jit(f)
    )
    return found


@pytest.mark.parametrize("flags", ["", "--xla_backend_optimization_level=0"])
def test_it_is_compiled_quickly_where_nobody_says_otherwise(monkeypatch, options, flags):
    monkeypatch.setenv("XLA_FLAGS", flags)
    once(drawn, jax.random.key(0), 2.0)
    assert options == [None if flags else {"xla_backend_optimization_level": 1}]


def test_another_device_has_its_own_compiler(monkeypatch, options):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    once(drawn, jax.random.key(0), 2.0)
    assert options == [None]


@pytest.mark.parametrize("around", [jax.jit, jax.vmap, jax.eval_shape])
def test_within_a_traced_function_it_is_a_part_of_that(monkeypatch, around):
    monkeypatch.setenv("XLA_FLAGS", "")
    key = jax.random.key(1)  # known while the rest is traced
    if around is jax.eval_shape:
        assert jax.eval_shape(lambda: once(drawn, key, 2.0))["w"].shape == (5,)
        return
    outer = (
        jax.jit(jax.vmap(lambda s: once(drawn, key, s)))
        if around is jax.vmap
        else jax.jit(lambda s: once(drawn, key, s))
    )
    made = outer(jnp.float32([2.0]) if around is jax.vmap else 2.0)["w"]
    np.testing.assert_allclose(np.reshape(made, -1), drawn(key, 2.0)["w"], rtol=1e-6)


def test_what_is_differentiated_is_a_part_of_that(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    key = jax.random.key(1)
    slope = jax.grad(lambda scale: once(drawn, key, scale)["w"].sum())(2.0)
    expected = jax.grad(lambda scale: drawn(key, scale)["w"].sum())(2.0)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_where_something_is_traced_no_device_is_asked_for(monkeypatch):
    def touched():
        raise AssertionError("a fork of this process would wait for it for ever")

    monkeypatch.setenv("XLA_FLAGS", "")
    key = jax.eval_shape(lambda: jax.random.key(0))
    monkeypatch.setattr(jax, "default_backend", touched)
    made = jax.eval_shape(lambda key: once(drawn, key, 2.0), key)
    assert made["w"].shape == (5,)
