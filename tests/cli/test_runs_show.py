"""`runs show`."""

from __future__ import annotations

import json

import pytest

from jaxtrain import tracking
from jaxtrain.main import main
from tests import small_run
from tests.some_runs import epochs_run, note


@pytest.fixture
def show(capsys, tmp_path, monkeypatch):
    """show(*words): what it prints of runs in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def show(*words):
        assert main(["runs", "show", *words]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return show


def test_a_script_s_run(show, tmp_path):
    with tracking.run("birds", "a", config={"lr": 0.1, "deep": {"x": None}}, tags=["b"]) as run:
        run.log({"loss": 0.5}, step=0)
        run.log({"loss": 0.25}, step=1)
        run.log_text("said/it", "first", 1)
        run.log_text("said/it", "second", 2)
        (tmp_path / "f.bin").write_bytes(b"1")
        artifact = run.log_artifact(tracking.Artifact("m", "model").add_file("f.bin"))
        medium = run.record.media[-1]["file"]
    note(run.directory, command=["my script.py", "x"], git_revision="1a2b")
    said = show("latest")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == "run runs/birds/a"
    assert "status completed" in lines
    assert "tags b" in lines
    assert "command 'my script.py' x" in lines
    assert any(line.startswith("where host ") and "git_revision 1a2b" in line for line in lines)
    assert "so far 1 steps" in lines
    assert "best loss 0.2500, at 1" in lines
    assert "loss █▁ 0.5000 0.2500 0.2500 1" in lines
    assert f"text said/it, at 2, the last of 2: runs/birds/a/{medium}" in lines
    assert (
        f"m:{artifact.version} (model, latest): runs/birds/a/artifacts/m/{artifact.version}"
        in lines
    )
    assert lines[lines.index("config") + 1 :] == ["lr = 0.1", "deep.x = null"]
    document = json.loads(show("a", "--json"))
    assert document["command"] == ["my script.py", "x"]
    assert document["config"] == {"lr": 0.1, "deep": {"x": None}}
    assert document["curves"] == {
        "loss": {
            "axis": "step",
            "steps": [0, 1],
            "values": [0.5, 0.25],
            "best": 0.25,
            "best_step": 1,
        }
    }
    assert [(one["step"], one["caption"]) for one in document["media"]] == [(1, None), (2, None)]
    assert document["media"][1]["path"] == f"runs/birds/a/{medium}"
    assert document["artifacts"][0]["files"] == ["f.bin"]
    assert document["next"] == {}


def test_a_trained_run(show, tmp_path):
    """The only one that is real."""
    config = small_run.write_config(tmp_path / "config.json")
    run = tmp_path / "it's"
    small_run.train(small_run.task_of(config), run, stop_at=5)
    said = show(str(run))
    assert "\nstatus      interrupted\n" in said
    assert "so far      1 of 2 epochs, 5 steps" in said
    assert "  model.hidden = [4]\n" in said
    assert "  hooks.console = null\n" in said
    assert "data.name" not in said  # the default
    how = json.loads(show(str(run), "--json"))["next"]["train"]
    assert how.endswith("train --config 'it'\"'\"'s'/config.yaml --workdir 'it'\"'\"'s'")
    assert small_run.command("train", "--config", run / "config.yaml", "--workdir", run)[0] == 0
    said = show(str(run))
    assert "\ntest\n  loss " in said
    words = {line.split()[0]: len(line.split()) for line in said.splitlines() if line}
    assert (words["val/loss"], words["grad_norm"]) == (6, 4)  # a gradient has no best
    assert "  train " not in said
    assert "  evaluate  python -m jaxtrain.main evaluate " in said
    assert "report.html\n" in said
    assert json.loads(show(str(run), "--json"))["figures"]["test_loss"] > 0
    assert main(["runs", "rm", str(run), "--yes"]) == 0
    assert not run.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "x", "environment": 3}'])
def test_a_broken_one_is_shown_as_that(show, tmp_path, content):
    run = epochs_run(tmp_path / "runs", "a", {"loss": [1.0]})
    (run / "metadata.json").write_text(content)
    (run / "metrics.jsonl").write_text('{"event": "epoch", "iter')
    said = show("a")
    assert ("broken: " in said) == (content[-2:] != "3}")
    assert "so far" not in said
    assert json.loads(show("a", "--json"))["curves"] == {}


def test_one_that_was_only_begun(show, tmp_path):
    (tmp_path / "runs/birds/a").mkdir(parents=True)
    (tmp_path / "runs/birds/a/config.yaml").touch()
    assert "broken: there is no metadata.json" in show("a")
    assert "train --config runs/birds/a/config.yaml --workdir runs/birds/a" in show("a")


def test_a_name_that_means_nothing_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "show", "a", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "config error: 'a': no run of that name or path below runs\n"
