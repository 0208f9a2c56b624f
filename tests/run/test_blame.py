"""Whose line raised."""

from __future__ import annotations

import importlib.util
import json

import pytest

from jaxtrain.run.blame import blame


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def raised_by(path, *calls):
    """What calling `path`'s function `go` raises."""
    module = load(path)
    with pytest.raises(Exception) as caught:
        module.go(*calls)
    return caught.value.with_traceback(caught.tb.tb_next)  # without the line above


@pytest.fixture
def written(tmp_path):
    def write(text, *parts):
        path = tmp_path.joinpath(*(parts or ("mine.py",)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


LAYER = """
from flax import linen as nn, nnx
import jax, jax.numpy as jnp

class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x).reshape(7, 7)      # line 8

class Nnx(nnx.Module):
    def __call__(self, x):
        return x @ jnp.ones((5, 2))              # line 12

def go(kind):
    x = jnp.ones((2, 4))
    if kind == "linen":
        jax.eval_shape(lambda: Linen().init_with_output(jax.random.key(0), x))
    if kind == "nnx":
        jax.jit(jax.grad(lambda x: Nnx()(x).sum()))(x)
    if kind == "scan":
        jax.lax.scan(lambda c, x: (c.nothing, x), 0.0, x)  # line 21
    {}[kind]                                     # line 22
"""


@pytest.mark.parametrize(("kind", "line"), [("linen", 8), ("nnx", 12), ("scan", 21), ("else", 22)])
def test_the_users_innermost_line_is_named(written, kind, line):
    path = written(LAYER)
    assert blame(raised_by(path, kind)) == f"{path}:{line}"


def test_what_a_library_raises_is_the_line_that_called_it(written):
    path = written("import json\ndef go():\n    json.loads('{')\n")
    assert blame(raised_by(path)) == f"{path}:3"
    path = written("import numpy\n\n\ndef go():\n    numpy.linalg.inv(numpy.ones(3))\n")
    assert blame(raised_by(path)) == f"{path}:5"


def test_an_installed_plugin_is_named_where_nothing_else_is(written):
    path = written("def go(call):\n    call('[')\n", "lib", "site-packages", "p", "q.py")
    assert blame(raised_by(path, json.loads)) == f"{path}:2"
    mine = written("def go(installed, call):\n    installed(call)\n")
    installed = load(path).go
    assert blame(raised_by(mine, installed, json.loads)) == f"{mine}:2"
    library = written("def go():\n    1 / 0\n", "lib", "site-packages", "flax", "deep.py")
    assert blame(raised_by(library)) == ""


def test_nobody_is_blamed_for_what_has_no_line(written):
    assert blame(ValueError("never raised")) == ""
    path = written("def go():\n    exec('1 / 0')\n")
    assert blame(raised_by(path)) == f"{path}:2"
