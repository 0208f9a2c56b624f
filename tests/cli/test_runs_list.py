"""`runs list`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from jaxtrain import tracking
from jaxtrain.errors import ConfigError
from jaxtrain.files.lock import lock
from jaxtrain.main import main
from jaxtrain.tracking import RunRecord
from tests.some_runs import epochs_run, note

LOSSES = {"val/loss": [0.9, 0.4, 0.6], "val/accuracy": [0.1, 0.5, 0.6]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Runs of all kinds."""
    root = tmp_path_factory.mktemp("runs")
    train = {"train": {"epochs": 3}}
    epochs_run(root, "seed0-1a2b3c4d", LOSSES, day=3, config={**train, "width": 64}, tags=["a"])
    better = {"val/loss": [0.8, 0.3, 0.2], "val/accuracy": [0.2, 0.3, 0.4]}
    epochs_run(
        root, "seed1-1a2b3c4d", better, day=2, config={**train, "width": 128}, tags=["a", "b"]
    )
    failed = epochs_run(root, "seed2-99999999", {"mine": [1.0]}, day=1, project="cats")
    note(failed, status="failed: OSError: full")
    old = epochs_run(root, "old", {}, project="cats")
    note(old, "project", "tags", "config")
    note(epochs_run(root, "killed", {}, project="cats"), status="running")
    torn = epochs_run(root, "torn", {"mine": [0.5]}, project="cats")
    (torn / "metadata.json").write_text('{"status": "compl')
    (root / "cats/foreign").mkdir()
    (root / "cats/foreign/metadata.json").write_text('{"x": 1}')
    (root / "cats/notes").mkdir()
    return root


@pytest.fixture
def listed(root, capsys, monkeypatch):
    """listed(*words): what it prints."""
    monkeypatch.setenv("COLUMNS", "200")

    def listed(*words):
        assert main(["runs", "list", "--root", str(root), *words]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return listed


def ids(said):
    return [run["id"] for run in json.loads(said)["runs"]]


def test_each_is_listed_as_what_it_is(listed):
    lines = listed().splitlines()
    titles = "run project status tags when epochs steps best curve differs"
    assert " ".join(lines[0].split()) == titles
    states = {line.split()[0]: line.split()[2] for line in lines[1:]}
    assert states == {
        "seed0-1a2b3c4d": "completed",
        "seed1-1a2b3c4d": "completed",
        "seed2-99999999": "failed",
        "old": "completed",
        "killed": "killed",
        "torn": "broken",
        "foreign": "unknown",
    }
    assert [line.split()[0] for line in lines[1:3]] == ["seed0-1a2b3c4d", "seed1-1a2b3c4d"]
    assert "  3/3     30  0.4000 val/loss  █▁▄ " in lines[1]
    assert lines[1].endswith("width=64, train.epochs=3")
    assert "  a, b  2026-07-02 " in lines[2]


def test_a_monitor_of_its_own_is_named(listed):
    said = listed("--project", "cats")
    assert "best mine" in said
    assert "1.0000 mine" in listed()
    assert "best val/loss" in listed("--project", "birds")


def test_a_running_one_is_running(listed, root):
    note(root / "cats/old", status="running")
    with lock(root / "cats/old") as introduce:
        introduce()
        assert ids(listed("--status", "running", "--json")) == ["old"]
    note(root / "cats/old", status="completed")


def test_filters(listed):
    assert ids(listed("--json", "--tag", "a")) == ["seed0-1a2b3c4d", "seed1-1a2b3c4d"]
    assert ids(listed("--json", "--tag", "a", "--tag", "b")) == ["seed1-1a2b3c4d"]
    assert ids(listed("--json", "--status", "failed")) == ["seed2-99999999"]
    assert ids(listed("--json", "--project", "birds", "--limit", "1")) == ["seed0-1a2b3c4d"]
    where = ["--where", "val/loss < 0.9", "--where", "val/accuracy > 0.5"]
    assert ids(listed("--json", *where)) == ["seed0-1a2b3c4d"]
    assert listed("--tag", "zebra") == "none of 7 runs is so\n"


def test_sorted_by_the_last_value_the_best_first_and_those_without_last(listed):
    assert ids(listed("--json", "--sort", "val/loss"))[:2] == ["seed1-1a2b3c4d", "seed0-1a2b3c4d"]
    assert ids(listed("--json", "--sort", "val/accuracy"))[0] == "seed0-1a2b3c4d"
    lines = listed("--sort", "val/accuracy", "--limit", "1").splitlines()
    assert "val/accuracy" in lines[0]
    assert "  0.6000  " in lines[1]
    assert lines[2] == "and 6 more"


@pytest.mark.parametrize("width", [80, 60, 40, 20, 8])
def test_a_narrow_terminal_gets_less_but_names_that_can_be_typed(
    listed, monkeypatch, call, root, width
):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = listed().splitlines()
    assert max(map(len, lines)) <= max(width, 7)
    for line in lines[1:]:
        assert call("runs", "show", line.split()[0], "--root", str(root)) == 0
    assert ("curve" in lines[0], "project" in lines[0]) == (width > 60, width > 40)
    assert ("status" in lines[0]) == (width > 8)


def test_the_document_is_what_the_module_says(listed, root):
    run = json.loads(listed("--json", "--tag", "b"))["runs"]
    assert run == [
        {
            "id": "seed1-1a2b3c4d",
            "project": "birds",
            "path": str(root / "birds/seed1-1a2b3c4d"),
            "status": "completed",
            "tags": ["a", "b"],
            "time": run[0]["time"],
            "epochs": 3,
            "planned_epochs": 3,
            "steps": 30,
            "monitor": "val/loss",
            "direction": "min",
            "best": 0.2,
            "best_step": 30,
            "last": 0.2,
            "changed": {"train.epochs": 3, "width": 128},
            "figures": {"val/loss": 0.2, "val/accuracy": 0.4},
            "lost": {},
        }
    ]
    assert {run["id"]: run["status"] for run in json.loads(listed("--json"))["runs"]}[
        "torn"
    ] == "broken: metadata.json is torn, or no JSON"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "val/loss"], "for instance 'val/accuracy > 0.9'"),
        (["--where", "val/los > 1"], "no run has a figure 'val/los'; did you mean 'val/loss'"),
        (["--sort", "val/acc"], "no run has a figure 'val/acc'"),
        (["--limit", "0"], "--limit: expected a whole number from 1 on, found '0'"),
        (["--limit", "²"], "--limit: expected a whole number"),
        (["--status", "done"], "invalid choice: 'done'"),
    ],
)
def test_what_is_wrong_is_said(call, root, words, said):
    with pytest.raises(ConfigError, match=said):
        call("runs", "list", "--root", str(root), *words)


def test_no_runs_are_no_error(call, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("runs", "list") == 0
    assert call("runs", "list", "--json", "--sort", "val/loss") == 0
    assert capsys.readouterr().out == 'no runs below runs\n{\n  "runs": []\n}\n'


def test_names_from_files_can_not_move_the_cursor(call, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    evil = "\x1b[2J"
    epochs_run(tmp_path, "a", {evil: [1.0]}, config={evil: evil}, tags=[evil])
    note(tmp_path / "birds/a", project=evil, status=evil, command=[evil], host=evil)
    for words in (["list"], ["show", "a"]):
        assert call("runs", *words, "--root", str(tmp_path)) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_reading_runs_takes_no_jax(root):
    code = (
        "import sys\nfrom jaxtrain.main import main\n"
        f"main(['runs', 'list', '--root', {str(root)!r}])\n"
        f"main(['runs', 'show', 'seed0', '--root', {str(root)!r}])\n"
        "late = ('jax', 'flax', 'optax', 'orbax', 'matplotlib')\n"
        "print([name for name in late if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_that_ended_in_nan_does_not_look_well(tmp_path, capsys, monkeypatch, call):
    monkeypatch.setenv("COLUMNS", "200")
    with tracking.run("p", "lost", root=tmp_path) as run:
        for step, loss in enumerate((1.0, 0.5, float("nan"), float("inf"))):
            run.log({"loss": loss, "rate": 0.1}, step)
    with tracking.run("p", "found", root=tmp_path) as run:
        for step, loss in enumerate((1.0, float("nan"), 0.6)):
            run.log({"loss": loss}, step)
    root = ["--root", str(tmp_path)]
    assert main(["runs", "list", *root]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "completed, NaN" in lines["lost"]
    assert "NaN" not in lines["found"]
    assert main(["runs", "list", *root, "--where", "loss < 2", "--json"]) == 0
    assert ids(capsys.readouterr().out) == ["found"]
    assert main(["runs", "show", "lost", *root]) == 0
    assert "not a finite number\n  loss, since step 2\n" in capsys.readouterr().out
    assert RunRecord.read(tmp_path / "p/lost").lost == {"loss": 2}
