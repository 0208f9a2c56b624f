import sys
from pathlib import Path

import pytest

from jaxtrain.config import import_plugin, imported_digests, plugin_digest
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
        ("fails.py", r"plugin 'fails\.py': .*fails\.py:2: ZeroDivisionError: division by zero"),
        ("wrong.py", r"plugin 'wrong\.py': .*wrong\.py:1: SyntaxError: "),
        ("wrong", r"plugin 'wrong': SyntaxError: "),
        ("refuses.py", r"plugin 'refuses\.py': model 'mlp' is taken"),
        ("refuses", r"plugin 'refuses': ConfigError: model 'mlp' is taken"),
        ("leaves.py", r"plugin 'leaves\.py': .*leaves\.py:1: SystemExit: 3"),
        ("leaves", r"plugin 'leaves': SystemExit: 3"),
    ],
)
def test_refusals(plugin, target, message):
    plugin("needs_more.py", "import more_of_it\n")
    plugin("fails.py", "a = 1\na = a / 0\n")
    plugin("wrong.py", "def f(:\n")
    plugin(
        "refuses.py",
        "from jaxtrain.errors import ConfigError\nraise ConfigError(\"model 'mlp' is taken\")\n",
    )
    plugin("leaves.py", "raise SystemExit(3)\n")
    with pytest.raises(ConfigError, match=message):
        import_plugin(target)


def test_a_plugin_that_failed_can_be_mended_and_imported_again(plugin):
    path = plugin("broken.py", "a / 0\n")
    with pytest.raises(ConfigError):
        import_plugin(str(path))
    plugin("broken.py", "a = 1\n")
    assert import_plugin(str(path)).a == 1


@pytest.mark.parametrize("target", ["stopped.py", "stopped"])
@pytest.mark.parametrize("stop", ["KeyboardInterrupt", "GeneratorExit"])
def test_half_a_module_does_not_pass_for_a_whole_one(plugin, target, stop):
    """A Ctrl-C in the middle of an import: what came after it is not in the module."""
    plugin("asked.txt", "")
    plugin(
        "stopped.py",
        "import pathlib\nbefore = 1\n"
        f"if pathlib.Path('asked.txt').exists(): raise {stop}\nafter = 2\n",
    )
    before = set(sys.modules)
    with pytest.raises(BaseException, match=r"^$") as raised:
        import_plugin(target)
    assert type(raised.value).__name__ == stop
    assert not [name for name in set(sys.modules) - before if "stopped" in name]
    Path("asked.txt").unlink()
    assert import_plugin(target).after == 2


def test_the_digest_is_that_of_the_source_and_of_nothing_else(plugin, tmp_path):
    digests = {}
    for folder, text in {"a": "x = 1\n", "b": "x = 1\n", "c": "x = 2\n"}.items():
        (tmp_path / folder).mkdir()
        path = plugin(f"{folder}/mine.py", text)
        digests[folder] = plugin_digest(str(path))
    assert digests["a"] == digests["b"] != digests["c"]
    assert len(digests["a"]) == 64
    plugin("mine.py", "x = 1\n")
    assert plugin_digest("mine") == digests["a"]


def test_the_digest_of_a_package_is_that_of_all_its_files(plugin, tmp_path):
    (tmp_path / "some_package/deep").mkdir(parents=True)
    plugin("some_package/__init__.py", "")
    before = plugin_digest("some_package")
    plugin("some_package/deep/models.py", "x = 1\n")
    after = plugin_digest("some_package")
    (tmp_path / "some_package/deep/models.py").rename(tmp_path / "some_package/models.py")
    assert len({before, after, plugin_digest("some_package")}) == 3
    plugin("some_package/notes.txt", "not source")
    assert plugin_digest("some_package.models") == plugin_digest("some_package/models.py")


def test_a_module_without_source_has_no_digest():
    with pytest.raises(ConfigError, match="plugin 'itertools': expected a module with a source"):
        plugin_digest("itertools")


def test_only_what_was_imported_has_a_digest_and_nothing_is_imported_for_it(plugin, tmp_path):
    """A config lists its plugins as a record: reading it must not execute them."""
    imported = plugin("mine.py", "x = 1\n")
    plugin("listed.py", "open('executed', 'w').close()\n")
    import_plugin(str(imported))
    targets = (str(imported), str(tmp_path / "listed.py"), "listed", "not a name", "itertools")
    assert imported_digests(targets) == {
        str(imported): plugin_digest(str(imported)),
        "itertools": "",  # it has no source
    }
    assert not Path("executed").exists()
    before = imported_digests([str(imported)])
    imported.write_text("x = 2\n")
    assert imported_digests([str(imported)]) != before
