"""`runs sync`, against a real server."""

from __future__ import annotations

import argparse

import pytest

from jaxtrain import tracking
from jaxtrain.cli import runs_sync
from jaxtrain.errors import ConfigError, UnreachableError
from jaxtrain.files.retry import Retry
from tests.mlflow_server import Way, free_port

pytest.importorskip("mlflow")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """runs(*names): of the project "sync", in the present directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def make(*names):
        for name in names:
            with tracking.run("sync", f"{tmp_path.name}-{name}", config={"a": 1}) as run:
                run.log({"loss": 1.0})

    return make


def sync(*words):
    parser = argparse.ArgumentParser()
    runs_sync.COMMAND.add_words(parser)
    return runs_sync.COMMAND.run(
        parser.parse_args(list(words), argparse.Namespace(command="runs sync")), []
    )


@pytest.mark.slow  # the server takes ten seconds to start
def test_all_that_is_not_there_is_sent_and_then_there_is_nothing_to_send(
    tmp_path, runs, mlflow_server, capsys, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    runs("a", "b")
    home = f"runs/sync/{tmp_path.name}"
    assert sync(f"{tmp_path.name}-a") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{home}-a: sent 1 values, 1 params, 1 files: {mlflow_server.uri}/#/")
    assert sync() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{home}-b: sent 1 values")
    assert sync() == 0
    assert capsys.readouterr().out.startswith("nothing to send")
    assert sync(f"{tmp_path.name}-a", f"{home}-a") == 0  # the same one twice
    (line,) = capsys.readouterr().out.splitlines()
    assert "sent nothing new" in line
    with tracking.run("sync", f"{tmp_path.name}-a", config={"a": 1}, resume=True) as run:
        run.log({"loss": float("nan")})
    assert sync() == 0
    first, note = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{home}-a: sent 1 values, 1 files")
    assert note == "  1 values were not finite: there they are NaN"


@pytest.mark.slow  # needs the server
def test_a_broken_run_is_told_of_and_the_others_are_sent(
    tmp_path, runs, mlflow_server, capsys, monkeypatch
):
    runs("a", "b", "c")
    broken = tmp_path / "runs" / "sync" / f"{tmp_path.name}-a" / "metadata.json"
    find_runs = tracking.find_runs
    monkeypatch.setattr(
        tracking, "find_runs", lambda root: [*find_runs(root), broken.write_text("{")][:-1]
    )
    assert sync("--uri", mlflow_server.uri) == 3
    said = capsys.readouterr()
    assert [line.split(":")[0][-1] for line in said.out.splitlines()] == ["b", "c"]
    assert "metadata.json: can't be read" in said.err


@pytest.mark.slow  # needs the server
def test_where_nobody_answers_it_is_tried_again(runs, mlflow_server):
    runs("again")
    (record,) = tracking.find_runs("runs")
    with Way(mlflow_server.uri) as way:
        way.cut()
        pauses = []

        def mend(seconds):
            pauses.append(seconds)
            if len(pauses) == 2:
                way.mend()

        synced = runs_sync.send(record, way.uri, Retry(sleep=mend))
    assert pauses == [1.0, 2.0]
    assert synced.values == 1


def test_where_nobody_answers_at_all_that_is_said_once(runs, capsys, monkeypatch):
    runs("a", "b")
    monkeypatch.setattr(runs_sync.send, "__defaults__", (Retry(base=0.0),))
    with pytest.raises(UnreachableError, match="ConnectionRefusedError"):
        sync("--uri", f"http://127.0.0.1:{free_port()}")
    assert capsys.readouterr() == ("", "")


def test_what_is_wrong_is_said_before_anything_is_sent(runs, tmp_path):
    runs("a")
    with pytest.raises(ConfigError, match="set MLFLOW_TRACKING_URI"):
        sync()
    nowhere = ("--uri", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ConfigError, match="'b': no run of that name"):
        sync(*nowhere, str(tmp_path / "runs" / "sync" / f"{tmp_path.name}-a"), "b")
    with pytest.raises(ConfigError, match="--root: 'none'"):
        sync(*nowhere, "--root", "none")
    with pytest.raises(ConfigError, match=r"takes no --config, found --config\.seed"):
        runs_sync.COMMAND.run(argparse.Namespace(command="runs sync"), ["seed=1"])
