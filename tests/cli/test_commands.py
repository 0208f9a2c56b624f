"""The commands as a whole: what none of them imports too early, and what each of them wants."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jaxtrain.errors import ConfigError


def test_nothing_heavy_is_imported_before_a_command_is_called():
    """A Ctrl-C in the middle of such an import could not be heeded."""
    late = ["jax", "numpy", "flax", "pydantic", "yaml", "optax", "orbax", "pyarrow", "PIL"]
    code = (
        f"import sys, jaxtrain.main; print([m for m in {late} if m in sys.modules])\n"
        "from jaxtrain.cli.words import parse_words; parse_words(['train', '--config', 'x'])\n"
        f"print([m for m in {late} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize("command", ["train", "check", "plan"])
def test_a_config_is_wanted(call, command):
    with pytest.raises(ConfigError, match=f"{command}: a config file is missing"):
        call(command)
