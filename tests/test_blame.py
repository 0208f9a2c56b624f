"""Whose line it was."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.blame import in_a_line, out_of_memory, place_of
from jaxtrain.config.python_file import execute
from jaxtrain.registry import Registry


def raised(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def mine(tmp_path):
    """mine(text): the module of a user's own file, and its path."""

    def make(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return execute(path, "tests_mine"), path

    return make


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("    return 1 / 0\n", 2),
        ("    return inner()\ndef inner():\n    raise KeyError('x')\n", 4),  # the deepest
        ("    import json\n    return json.loads('{')\n", 3),  # not the library's
        ("    import numpy as np\n    return np.zeros(3).reshape(2)\n", 3),  # nor an installed one
        ("    import numpy as np\n    return np.linalg.inv(np.zeros((2, 3)))\n", 3),  # in Python
        ("    from jaxtrain.registry import Registry\n    return Registry('m')['x']\n", 3),
        ("    return [None for _ in range(3) if (\n        1 / 0)]\n", 3),
    ],
)
def test_it_is_the_deepest_line_of_ones_own(mine, body, line):
    module, path = mine(f"def f():\n{body}")
    assert place_of(raised(module.f)) == f"{path}:{line}"


def test_the_line_is_found_below_a_jitted_step(mine):
    module, path = mine("def f(x):\n    return x.reshape(7)\n")
    assert place_of(raised(jax.jit(module.f), jnp.zeros(3))) == f"{path}:2"


def test_that_of_the_cause_where_it_came_through_none(mine, monkeypatch):
    """As where a library raises anew what it met."""
    module, path = mine("def f():\n    1 / 0\n")

    def again(suppressed):
        error = RuntimeError("anew")
        error.__context__ = raised(module.f)
        error.__suppress_context__ = suppressed
        return error

    assert place_of(again(suppressed=False)) == f"{path}:2"
    assert place_of(again(suppressed=True)) is None
    error = RuntimeError("anew")
    error.__cause__ = raised(module.f)
    assert place_of(error) == f"{path}:2"
    error.__cause__ = error  # a circle ends
    assert place_of(error) is None


def test_none_where_all_of_it_happened_in_libraries():
    for function, argument in ((json.loads, "{"), (Registry("m").__getitem__, "x")):
        error = raised(function, argument)
        error.__traceback__ = error.__traceback__.tb_next  # without this file, which is somebody's
        assert place_of(error) is None
    assert place_of(ValueError("never raised")) is None
    assert place_of(raised(np.random.default_rng, "x").with_traceback(None)) is None


def test_what_was_never_run_is_named_where_its_text_is_wrong(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("a = 1\nb = (\n")
    assert place_of(raised(execute, path, "wrong").__cause__) == f"{path}:2"
    error = raised(compile, "a = (", "<string>", "exec")
    assert place_of(error.with_traceback(None)) is None


def test_a_line_is_a_line():
    said = in_a_line(ValueError("x\n" * 1000))
    assert len(said) < 450
    assert said.startswith("ValueError: x x")
    assert said.endswith("...")
    assert in_a_line(ValueError("short\n\nenough")) == "ValueError: short enough"


def test_only_what_means_memory_means_memory():
    numpy_s = raised(np.empty, 2**62, np.int8)
    assert out_of_memory(numpy_s)
    assert not out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
    assert not out_of_memory(RuntimeError("INTERNAL: exhausted"))


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_what_is_installed_is_nobodys_own_wherever_that_is(mine, folder):
    module, path = mine("def f(inner):\n    return inner()\n")
    names = {}
    exec(compile("def inner():\n    1 / 0\n", f"/opt/{folder}/x.py", "exec"), names)
    assert place_of(raised(module.f, names["inner"])) == f"{path}:2"
    exec(compile("def inner():\n    1 / 0\n", "/opt/x.py", "exec"), names)
    assert place_of(raised(module.f, names["inner"])) == "/opt/x.py:2"
