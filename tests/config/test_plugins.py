import sys

import pytest

from jaxtrain.config import import_plugin
from jaxtrain.errors import ConfigError


@pytest.fixture
def plugin(write, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_by_dotted_name(plugin):
    plugin("some_plugin.py", "value = 3\n")
    assert import_plugin("some_plugin").value == 3


def test_by_path_once(plugin):
    path = plugin(
        "mine.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass A:\n    x: int = 3\n",
    )
    module = import_plugin(f"./{path}")
    assert module.A().x == 3
    assert import_plugin(str(path.resolve())) is module


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere_at_all.deep", "no module named 'nowhere_at_all'; install it, put its directory"),
        ("nowhere.py", r"plugin 'nowhere\.py': no such file: .*nowhere\.py"),
        ("not a name", "expected a dotted module name"),
        ("../up", "expected a dotted module name"),
        ("needs_more", "needs a module that is missing: No module named 'more_of_it'"),
        ("fails", r"plugin 'fails': ZeroDivisionError: .*fails\.py:2\)"),
        ("fails.py", r"fails\.py:2: ZeroDivisionError"),
    ],
)
def test_refusals(plugin, target, message):
    plugin("needs_more.py", "import more_of_it\n")
    plugin("fails.py", "a = 1\na / 0\n")
    with pytest.raises(ConfigError, match=message):
        import_plugin(target)


def test_a_plugin_that_failed_can_be_mended_and_imported_again(plugin):
    path = plugin("broken.py", "a / 0\n")
    with pytest.raises(ConfigError):
        import_plugin(str(path))
    plugin("broken.py", "a = 1\n")
    assert import_plugin(str(path)).a == 1
