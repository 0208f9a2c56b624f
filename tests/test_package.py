"""The package as a whole: what it exports, what it costs to import, and who may import whom."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import jaxtrain
from jaxtrain import errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxtrain"

# The floors stand in one place: what is further down there may not import what is further up.
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
FLOORS = [
    line.split(", ") for line in ARCHITECTURE.split("```floors\n")[1].split("\n```")[0].splitlines()
]
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
ROOMS = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]


def _imports() -> list[tuple[str, str, Path]]:
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
                if node.module == "jaxtrain":
                    names = [f"jaxtrain.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.startswith("jaxtrain."):
                    target = name.split(".")[1]
                    if target != room:
                        found.append((room, target, path))
    return found


def test_imports_point_down_only():
    wrong = [
        f"{path.relative_to(ROOT)}: {room} imports {target}"
        for room, target, path in _imports()
        if FLOOR_OF[target] >= FLOOR_OF[room]
    ]
    assert wrong == []


def _imports_of_modules() -> dict[str, set[str]]:
    """Whom each module names in an import, wherever in it, also one for its types alone."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: a relative import, which is not followed here"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    named.add(whole if whole in paths else str(node.module))
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        found[module] = named & paths.keys() - {module}
    return found


def _circle(imports: dict[str, set[str]]) -> list[str]:
    """One way from a module back to itself; empty where there is none."""
    left = {module: set(named) for module, named in imports.items()}
    while ends := [module for module, named in left.items() if not named & left.keys()]:
        for module in ends:
            del left[module]
    way: list[str] = []
    at = min(left, default="")
    while at and at not in way:
        way.append(at)
        at = min(left[at] & left.keys())
    return [*way[way.index(at) :], at] if way else []


def test_no_modules_import_each_other_in_a_circle():
    """Not inside of a function either, nor for types alone: one of the two nouns is misplaced."""
    imports = _imports_of_modules()
    assert imports["jaxtrain.retention.report"] >= {"jaxtrain.retention.findings"}
    assert _circle(imports) == []
    assert _circle({"a": {"b"}, "b": {"c", "d"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]


def test_only_the_checkpoint_room_knows_orbax():
    knowing = {p.parent.name for p in PACKAGE.rglob("*.py") if "import orbax" in p.read_text()}
    assert knowing == {"checkpoint"}


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_every_exported_name_is_there(room):
    module = importlib.import_module(f"jaxtrain.{room}".rstrip("."))
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_exports_all_that_it_imports(room):
    """What `__init__` imports it exports: the list is the room's table of contents."""
    module = importlib.import_module(f"jaxtrain.{room}")
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert imported <= set(module.__all__)


def test_the_table_of_contents_matches_its_lazy_half():
    assert {*jaxtrain._NAMES, *jaxtrain._ROOMS, "__version__"} == set(jaxtrain.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Enigne'"):
        _ = jaxtrain.Enigne


def _submodules() -> list[str]:
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    found |= {path.stem for path in PACKAGE.glob("*.py")}
    return sorted(name for name in found if not name.startswith("_"))


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_rooms_and_names_are_there_whatever_was_used_before(order):
    """`jt.batch` must not fail until somebody else has imported it, nor a name hide a room."""
    names = sorted({*jaxtrain.__all__, *_submodules()}, reverse=order == "backwards")
    code = (
        f"import jaxtrain as jt, types\nnames, rooms = {names!r}, {_submodules()!r}\n"
        "first = {name: getattr(jt, name) for name in names}\n"
        "assert all(getattr(jt, name) is value for name, value in first.items())\n"
        "for name in rooms: assert isinstance(first[name], types.ModuleType), name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_is_there_when_it_is_the_first_thing_used():
    """Each in a fork of a process that has imported what others wrote, and nothing of ours."""
    code = (
        "import os, sys, flax.linen, flax.nnx, jax.numpy, optax, orbax.checkpoint, pydantic\n"
        "assert not [name for name in sys.modules if name.startswith('jaxtrain')]\n"
        f"for name in {_submodules()!r}:\n"
        "    if os.fork():\n"
        "        assert os.wait()[1] == 0, name\n"
        "        continue\n"
        "    import jaxtrain as jt\n"
        "    assert getattr(jt, name).__name__ == f'jaxtrain.{name}'\n"
        "    os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("room", ["run", "cli", "config"])
def test_no_room_exports_a_name_that_one_of_its_modules_has(room):
    """Which of the two one got would depend on what was imported before."""
    module = importlib.import_module(f"jaxtrain.{room}")
    files = {path.stem for path in (PACKAGE / room).glob("*.py")}
    assert files & set(module.__all__) == set()


def test_importing_jaxtrain_imports_nothing_heavy():
    code = "import sys, jaxtrain; print([m for m in ('jax', 'flax', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_of_it_leaves_the_heavy_libraries_alone_until_they_are_used():
    late = [
        "matplotlib",
        "sklearn",
        "tensorboardX",
        "orbax",
        "pyarrow",
        "plotly",
    ]  # rich: flax imports it itself
    code = (
        "import sys, jaxtrain\n"
        "for name in jaxtrain.__all__: getattr(jaxtrain, name)\n"
        f"print([m for m in {late} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_error_tree_is_the_one_drawn():
    real = {
        name: cls.exit_code
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.JaxtrainError)
    }
    for name, code in real.items():
        line = next(x for x in (errors.__doc__ or "").splitlines() if f" {name} " in x)
        assert f" {code} " in f"{line} ", f"{name}: the drawing says {line.strip()!r}"


# Modules without a test file of their own name, and where the tests are that hold them.
TESTED_ELSEWHERE = {
    "cli/command.py": "a record: what the commands' tests draw",
    "cli/trained.py": "the words that tests/cli/test_evaluate.py and test_predict.py use",
    "_version.py": "a number; test_the_table_of_contents_matches_its_lazy_half",
    "engine/batches/portion.py": "a record and a Protocol: what the feeds' tests draw",
    "errors.py": "test_the_error_tree_is_the_one_drawn",
    "models/registry.py": "one line, an instance of Registry: tests/test_registry.py",
    "optim/registry.py": "two lines, instances of Registry: tests/test_registry.py",
}


def test_every_module_has_tests_of_its_name():
    """`jaxtrain/room/noun.py` is held by `tests/room/test_noun.py`: one guess finds it."""
    modules = {
        path.relative_to(PACKAGE): path.relative_to(PACKAGE).parent / f"test_{path.name}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    without = {
        str(module) for module, test in modules.items() if not (ROOT / "tests" / test).exists()
    }
    assert sorted(without - TESTED_ELSEWHERE.keys()) == []
    assert sorted(TESTED_ELSEWHERE.keys() - without) == [], "these have a file of their own by now"
