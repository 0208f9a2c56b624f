"""docs/from-ignite.md has a word for everything that Ignite's users look for."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxtrain as jt
from tests import continuing

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/from-ignite.md").read_text()
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
IN_IGNITE = "\n".join(cells[0] for cells in ROWS)


def ignites(module: str, expression: str) -> list[str]:
    """Names that an installed Ignite has; in a process of its own, since importing it warns."""
    if importlib.util.find_spec("ignite") is None:
        pytest.skip("not installed: ignite; the extra 'peers' has it")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import {module} as m; print(*({expression}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_every_name_of_ignites_handlers_has_a_row():
    names = ignites("ignite.handlers", "m.__all__")
    assert len(names) >= 40
    assert [name for name in names if f"`{name}`" not in IN_IGNITE] == []


def test_every_event_of_ignite_has_a_row_or_is_here():
    names = ignites("ignite.engine", "e.name for e in m.Events")
    missing = [name for name in names if not hasattr(jt.Events, name)]
    assert [name for name in missing if f"`Events.{name}`" not in IN_IGNITE] == []


def test_every_public_method_of_ignites_engine_has_a_row_or_is_here():
    names = ignites("ignite.engine", "n for n in dir(m.Engine) if not n.startswith('_')")
    missing = [name for name in names if not hasattr(jt.Engine, name)]
    assert [name for name in missing if f"`{name}" not in PAGE] == []


def test_every_row_says_something():
    for cells in ROWS:
        assert all(cell.strip(" |") for cell in cells[1:]), cells
        assert len(cells) >= 2


def test_what_it_names_is_here():
    for hook in set(re.findall(r"`hooks\.(\w+)", PAGE)):
        assert hasattr(jt.hooks, hook), hook
    for event in set(re.findall(r"`E\.(\w+)", PAGE)):
        assert hasattr(jt.Events, event), event
    import optax
    import optax.contrib

    for path in set(re.findall(r"`optax\.([\w.]+)", PAGE)):
        found = optax
        for part in path.split("."):
            assert hasattr(found, part), f"optax.{path}"
            found = getattr(found, part)


# -- continuing, terminating, counting -----------------------------------------------------------


@pytest.fixture(scope="module")
def in_ignite():
    """What comes of each scenario in Ignite."""
    if importlib.util.find_spec("ignite") is None:
        pytest.skip("not installed: ignite; the extra 'peers' has it")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("continuing.py"))],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here():
    """What comes of each scenario here."""
    return json.loads(json.dumps(continuing.outcomes(continuing.Jaxtrain())))


@pytest.mark.parametrize("name", continuing.SAME)
def test_it_is_as_in_ignite(name, in_ignite, here):
    assert here[name] == in_ignite[name] == continuing.SAME[name]


@pytest.mark.parametrize("name", continuing.DIFFERENT)
def test_it_differs_from_ignite_as_the_page_says(name, in_ignite, here):
    ignite, ours = continuing.DIFFERENT[name]
    assert (in_ignite[name], here[name]) == (ignite, ours)


def test_every_scenario_is_expected_to_come_to_something():
    assert continuing.SAME.keys() | continuing.DIFFERENT.keys() == continuing.SCENARIOS.keys()
