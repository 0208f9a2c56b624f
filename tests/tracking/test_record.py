"""Runs read from the disk: whatever state they are in, and by whatever name one means them."""

from __future__ import annotations

import json
import os
import socket

import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.tracking import Run, RunRecord, append_row, find_runs, one_run, write_metadata


@pytest.fixture
def make(tmp_path):
    def make(project="p", name="first", status="completed", **more):
        path = tmp_path / "runs" / project / name
        path.mkdir(parents=True)
        write_metadata(path, status, project=project, config=more.pop("config", {}), **more)
        return path

    return make


def test_what_a_run_says_of_itself(make):
    path = make(config={"seed": 3}, tags=["a", "b"])
    record = RunRecord.read(path)
    assert (record.id, record.project, record.status) == ("first", "p", "completed")
    assert record.config == {"seed": 3}
    assert record.tags == ("a", "b")
    assert (record.rows, record.media, record.artifacts, record.system, record.figures) == (
        [],
        [],
        [],
        [],
        {},
    )


def test_an_older_run_says_less(tmp_path):
    (tmp_path / "q").mkdir()
    (tmp_path / "q/metadata.json").write_text('{"status": "completed", "config": {"project": "p"}}')
    record = RunRecord.read(tmp_path / "q")
    assert (record.project, record.tags) == ("p", ())
    (tmp_path / "q/metadata.json").write_text("{}")
    record = RunRecord.read(tmp_path / "q")
    assert (record.project, record.status, record.config) == (tmp_path.name, "unknown", {})


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_what_is_broken_is_told_and_passed_over(make, content, tmp_path):
    path = make()
    good = make(name="second")
    (path / "metadata.json").write_bytes(content)
    with pytest.raises(DataError, match=r"first/metadata.json: can't be read"):
        RunRecord.read(path)
    assert [record.path for record in find_runs(tmp_path / "runs")] == [good]
    with pytest.raises(ConfigError, match="holds no run"):
        RunRecord.read(tmp_path)


def test_one_that_runs_and_one_that_was_killed(make):
    path = make(status="running")
    assert RunRecord.read(path).status == "killed"  # nobody has the lock

    def lock(**who):
        (path / ".lock").write_text(json.dumps(who))
        return RunRecord.read(path).status

    assert lock(pid=os.getpid(), host=socket.gethostname(), since="x") == "running"
    assert lock(pid=2**22 + 7, host=socket.gethostname(), since="x") == "killed"
    assert lock(pid=1, host="another.example", since="x") == "running"
    (path / ".lock").write_text("")
    assert RunRecord.read(path).status == "killed"


def test_series_and_figures(make):
    path = make()
    rows = [
        {"event": "iteration", "epoch": 1, "iteration": 5, "loss": 0.5},
        {"event": "epoch", "epoch": 1, "iteration": 10, "val/loss": 0.4, "val/acc": None},
        {"event": "log", "step": 3, "axis": "fold", "after": 10, "auc": 0.7},
        {"event": "epoch", "epoch": 2, "iteration": 20, "val/loss": 0.3, "name": "x"},
        {"event": "log", "step": 20, "at": {"iteration": 20, "epoch": 2, "done": 2}, "loss": 9.0},
    ]
    for row in rows:
        append_row(path / "metrics.jsonl", row)
    (path / "metrics.json").write_text('{"test_loss": 0.35, "monitor": "val/loss", "val/loss": 1}')
    record = RunRecord.read(path)
    assert record.names == ["loss", "val/loss", "auc"]
    assert record.series("val/loss") == ([10, 20], [0.4, 0.3])
    assert record.series("loss") == ([5], [0.5])  # what the run tells
    assert record.series("loss", "log") == ([20], [9.0])  # what somebody has logged
    assert record.series("loss", "iteration") == ([5], [0.5])
    assert record.series("auc") == ([3], [0.7])
    assert record.series("none") == ([], [])
    assert record.figures == {"loss": 0.5, "val/loss": 1, "auc": 0.7, "test_loss": 0.35}


def test_media_that_are_not_there_or_not_the_runs_are_left_out(make, tmp_path):
    path = make()
    Run(path).log_text("t", "x", 1)
    (tmp_path / "secret").write_text("s")
    good = json.loads((path / "media.jsonl").read_text())
    for bad in (
        {"file": "../../../secret"},
        {"file": str(tmp_path / "secret")},
        {"file": "media/none"},
        {"file": "metadata.json"},
        {"kind": "program"},
        {"step": "1"},
        {"name": 3},
    ):
        append_row(path / "media.jsonl", {**good, **bad})
    assert RunRecord.read(path).media == [good]


def test_a_media_directory_that_is_a_link_holds_nothing_of_the_run(make, tmp_path):
    path = make()
    Run(path).log_text("t", "x", 1)
    assert len(RunRecord.read(path).media) == 1
    (path / "media").rename(tmp_path / "elsewhere")
    (path / "media").symlink_to(tmp_path / "elsewhere")
    assert RunRecord.read(path).media == []


def test_found_below_projects_and_not_in_runs_or_hidden_directories(make, tmp_path):
    paths = [make("a", "x"), make("a", "y"), make("b", "x")]
    inner = paths[0] / "inner"
    inner.mkdir()
    write_metadata(inner, "completed", project="p", config={})
    (tmp_path / "runs/.hidden").mkdir()
    write_metadata(tmp_path / "runs/.hidden", "completed", project="p", config={})
    (tmp_path / "runs/link").symlink_to(paths[0])
    assert [record.path for record in find_runs(tmp_path / "runs")] == paths
    assert [record.path for record in find_runs(paths[1])] == [paths[1]]
    assert list(find_runs(tmp_path / "nothing")) == []


def test_the_run_that_somebody_means(make, tmp_path):
    root = tmp_path / "runs"
    one, two, three = make("a", "seed0-12ab"), make("a", "seed0-34cd"), make("b", "seed1-12ab")
    assert one_run(str(one), root).path == one
    assert one_run("seed0-12ab", root).path == one
    assert one_run("seed0-3", root).path == two
    assert one_run("b/seed", root).path == three
    assert one_run("seed1", root).path == three
    with pytest.raises(ConfigError, match=r"could be .*seed0-12ab or .*seed0-34cd"):
        one_run("seed0", root)
    with pytest.raises(ConfigError, match="did you mean 'seed0-12ab'"):
        one_run("seed0-12ax", root)
    longer = make("a", "seed0-12ab-more")
    assert one_run("seed0-12ab", root).path == one  # a whole name before the beginning of another
    assert one_run("a/seed0-12ab-", root).path == longer
