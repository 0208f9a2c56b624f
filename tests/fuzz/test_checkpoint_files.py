"""Whatever somebody makes of the files of a run: documented exit codes, and a line that says why.

115 examples, always the same ones. Each is a copy of a small run with something in it altered, over
which `checkpoints`, `evaluate` and `train` are run in this process. What is computed of the data
does not depend on these files, and is left out of `evaluate`; `train` finds a run that is done, or
with a step to go. 1 is the exit code of what nobody has foreseen: none of these may be that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jaxtrain.run import Task, Trained
from tests import small_run

DOCUMENTED = {0, 2, 3, 4}


def fixed(examples: int) -> settings:
    """Always the same, however busy the machine is."""
    ignored = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        derandomize=True, database=None, max_examples=examples, suppress_health_check=ignored
    )


SHALLOW, DEEP = (json.loads("[" * depth + "1" + "]" * depth) for depth in (20, 500))

VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, 5, 8, -1, 2**31, 2**63, 10**18, 10**30, 10**400),
    *(0.0, -0.0, 0.5, 1e308, float("nan"), float("inf"), -float("inf")),
    *(
        "",
        "x",
        "min",
        "auto",
        "fused",
        "terminate",
        "0",
        "é\U0001f600",
        "\ud800",
        "a/b",
        "../..",
        "\0",
    ),
    *(
        "x" * 10_000,
        "f" * 64,
        [],
        {},
        [1],
        [None],
        ["x"],
        [[1], [2, 3]],
        [[1.5, 2.5]],
        SHALLOW,
        DEEP,
    ),
    *({"": 1}, {"a.b": 1}, {"a": {"b": {"c": None}}}, {"epoch": 1, "iteration": 1}, {"\ud800": 1}),
]
NAMES = ["x", "", "a.b", "\ud800", "epoch", "name", "iteration", "shared", "format", "0", "é"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[Any]:
    """A finished run, and one with a step to go; each is copied to the same place in turn."""
    root = tmp_path_factory.mktemp("runs")
    place = root / "run"
    few = {"keep": 2, "every": None}
    config = small_run.write_config(root / "config.json", workdir=str(place), checkpoint=few)
    task = small_run.task_of(config)
    begun = task.initial_state()
    for name, stop_at in (("done", None), ("left", 7)):
        small_run.train(task, place, stop_at)
        place.rename(root / name)
    meta = json.loads((small_run.checkpoints(root / "done")[-1] / "meta.json").read_text())
    with pytest.MonkeyPatch.context() as patched:
        # The words ask for the same config each time: so its data need not be read each time.
        patched.setattr("jaxtrain.cli.train.task_of", lambda asked: _same(asked, task))
        patched.setattr(Task, "initial_state", lambda self: begun)
        patched.setattr(Trained, "evaluate", lambda self, rows: {"loss": 0.5})
        yield root, config, meta


def _same(asked: Any, task: Any) -> Any:
    assert asked == task.config
    return task


def fresh(root: Path, name: str) -> Path:
    """A copy of a run at its place."""
    shutil.rmtree(root / "run", ignore_errors=True)
    return small_run.copied(root / name, root / "run")


def run_all(config: Path, run: Path, *, by_path: bool = True) -> dict[str, int]:
    """The commands over a run, and what each came to.

    Args:
        by_path: evaluate the newest checkpoint, not the best one of the run.
    """
    codes = {}
    for words in (
        ["checkpoints", run],
        ["evaluate", "--checkpoint", small_run.checkpoints(run)[-1] if by_path else run],
        ["train", "--config", config],
    ):
        code, said = small_run.command(*words)
        assert code in DOCUMENTED, f"{words[0]}: {said}"
        assert "Traceback" not in said
        assert said.strip()
        codes[words[0]] = code
    return codes


# -- meta.json, and digests that agree with it -----------------------------------------------------


def paths(value: Any, prefix: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, below in items:
        yield (*prefix, key)
        yield from paths(below, (*prefix, key))


@st.composite
def alterations(draw: Any) -> tuple:
    """Where (a share of all places), what, and with which value."""
    return (
        draw(st.floats(0, 1, exclude_max=True)),
        draw(st.sampled_from(["replace", "replace", "replace", "delete", "insert"])),
        draw(st.integers(0, len(VALUES) - 1)),
        draw(st.sampled_from(NAMES)),
    )


def value_of(number: int) -> Any:
    """One of its own: another alteration may go into it."""
    return json.loads(json.dumps(VALUES[number]))


def altered(meta: Any, places: list[tuple], alteration: tuple) -> Any:
    share, how, value, name = alteration
    path = places[int(share * len(places))]
    *way, last = path
    for key in way:
        try:
            meta = meta[key]
        except (KeyError, IndexError, TypeError):  # an alteration of before has taken it away
            return
    try:
        if how == "replace":
            meta[last] = value_of(value)
        elif how == "delete":
            del meta[last]
        elif isinstance(meta, dict):
            meta[name] = value_of(value)
        else:
            meta.insert(0, value_of(value))
    except (KeyError, IndexError, TypeError, AttributeError):
        return


def important(meta: dict[str, Any]) -> list[tuple]:
    """Places, most of them near the root, among the counters and in the hooks' states."""
    everything = list(paths(meta))
    near = [p for p in everything if len(p) < 3 or p[:2] == ("engine", "counters")]
    hooks = [p for p in everything if p[:2] == ("engine", "hooks")]
    return [*everything, *near * 6, *hooks * 2]


@pytest.mark.slow
@fixed(60)
@given(st.lists(alterations(), min_size=1, max_size=3), st.booleans())
def test_an_altered_meta_with_good_digests(runs, alterations, alone):
    root, config, meta = runs
    run = fresh(root, "done")
    newest = small_run.checkpoints(run)[-1]
    if alone:
        for other in small_run.checkpoints(run)[:-1]:
            shutil.rmtree(other)
    made, places = json.loads(json.dumps(meta)), important(meta)
    for alteration in alterations:
        altered(made, places, alteration)
    (newest / "meta.json").write_text(json.dumps(made))
    small_run.vouch(newest)
    run_all(config, run, by_path=alone)


@pytest.mark.slow
@fixed(5)
@given(alterations())
def test_an_altered_meta_of_a_run_with_a_step_to_go(runs, alteration):
    root, config, _ = runs
    run = fresh(root, "left")
    newest = small_run.checkpoints(run)[-1]
    made = json.loads((newest / "meta.json").read_text())
    altered(made, important(made), alteration)
    (newest / "meta.json").write_text(json.dumps(made))
    small_run.vouch(newest)
    run_all(config, run)


SPECIALS = {
    "nothing": lambda text: "",
    "an infinite number": lambda text: text.replace('"iteration": 8', '"iteration": 1e999'),
    "an infinite figure": lambda text: text.replace("0.0,", "1e999,").replace("0.5,", "1e999,"),
    "every number NaN": lambda text: text.replace(": 8", ": NaN"),
    "a key twice": lambda text: text.replace('"epoch": 2,', '"epoch": 2, "epoch": 1,', 1),
    "another key twice": lambda text: "{" + '"config": 1,' + text[1:],
    "as deep as can be": lambda text: '{"a": ' * 50_000 + "1" + "}" * 50_000,
    "deep at the end": lambda text: text.rstrip()[:-1] + ', "z": ' + "[" * 9000 + "]" * 9000 + "}",
    "a huge whole number": lambda text: text.replace(": 8", ": 8" + "0" * 4200),
    "more digits than are read": lambda text: text.replace(": 8", ": 8" + "0" * 5000),
    "surrogates": lambda text: text.replace("val/loss", "val/\\ud800"),
    "a pair of them": lambda text: text.replace("val/loss", "val/\\ud83d\\ude00"),
    "an escape": lambda text: text.replace("val/loss", "val/\\u001b[31m"),
    "a list": lambda text: f"[{text}]",
    "text": lambda text: json.dumps(text),
}


@pytest.mark.parametrize("special", SPECIALS)
def test_json_that_no_save_writes(runs, special):
    root, config, _ = runs
    run = fresh(root, "done")
    newest = small_run.checkpoints(run)[-1]
    text = (newest / "meta.json").read_text()
    assert SPECIALS[special](text) != text
    (newest / "meta.json").write_text(SPECIALS[special](text))
    small_run.vouch(newest)
    run_all(config, run)


def test_a_meta_of_64_mebibytes(runs):
    root, config, _ = runs
    run = fresh(root, "done")
    newest = small_run.checkpoints(run)[-1]
    with (newest / "meta.json").open("ab") as file:
        file.write(b" " * 2**26)
    small_run.vouch(newest)
    assert run_all(config, run)["train"] == 0  # the one before it is used


# -- bytes of any file ---------------------------------------------------------------------------

FILES = [
    "manifest.sha256",
    "meta.json",
    "metrics.jsonl",
    "metrics.csv",
    "metrics.json",
    "metadata.json",
    "config.yaml",
    ".lock",
]


@st.composite
def damages(draw: Any) -> tuple:
    return (
        draw(st.sampled_from(["flip", "cut", "put", "twice", "junk", "utf-16", "gone"])),
        draw(st.floats(0, 1)),
        draw(st.binary(min_size=1, max_size=12)),
    )


def damage(path: Path, how: str, share: float, junk: bytes) -> None:
    content = path.read_bytes()
    at = int(share * len(content))
    if how == "flip":
        made = bytearray(content or b"\0")
        made[min(at, len(made) - 1)] ^= 1 << junk[0] % 8
        content = bytes(made)
    elif how == "cut":
        content = content[:at]
    elif how == "put":
        content = content[:at] + junk + content[at:]
    elif how == "twice":
        content = content[:at] + content
    elif how == "junk":
        content = junk * (1 + at)
    elif how == "utf-16":
        content = content.decode("utf-8", "replace").encode("utf-16")
    path.unlink()
    if how != "gone":
        path.write_bytes(content)


@pytest.mark.slow
@fixed(30)
@given(st.sampled_from(FILES), st.lists(damages(), min_size=1, max_size=2), st.booleans())
@example("metrics.jsonl", [("put", 0.5, b"\n" + b"[" * 9 + b"\n")], False)
@example("metrics.csv", [("utf-16", 0.0, b"x")], False)
@example("config.yaml", [("cut", 0.5, b"x")], False)
@example("metrics.json", [("cut", 0.5, b"x")], False)
def test_a_damaged_file(runs, name, damages, vouched):
    root, config, _ = runs
    run = fresh(root, "done")
    newest = small_run.checkpoints(run)[-1]
    place = newest if name in ("manifest.sha256", "meta.json") else run
    for one in damages:
        if (place / name).exists():
            damage(place / name, *one)
    if vouched and name == "meta.json":
        small_run.vouch(newest)
    run_all(config, run, by_path=vouched)
