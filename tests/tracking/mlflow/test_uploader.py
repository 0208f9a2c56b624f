"""A training that is watched by a server, by a dead one, and by one that never answers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from jaxtrain import tracking
from jaxtrain.errors import ConfigError
from jaxtrain.tracking import RunRecord
from jaxtrain.tracking.mlflow import Uploader, sync, uploading
from jaxtrain.tracking.mlflow.server import prepare
from tests.mlflow_server import Way, free_port
from tests.tracking.deaf import Deaf

pytest.importorskip("mlflow")

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    tracking.set_mode("offline")


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def values_there(server, name):
    experiment = server.client.get_experiment_by_name("digits")
    if experiment is None:
        return None
    found = server.client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    assert len(found) < 2
    if not found:
        return None
    history = server.client.get_metric_history(found[0].info.run_id, "loss")
    return Counter((one.step, one.value) for one in history), found[0].info.status


def warnings_in(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.slow  # needs the server
def test_what_is_logged_is_there_while_the_run_goes_on_and_all_of_it_at_the_end(
    tmp_path, mlflow_server, caplog
):
    tracking.set_mode("online", uri=mlflow_server.uri)
    with tracking.run("digits", "live", root=tmp_path) as run:
        run.log({"loss": 1.0}, 1)
        until(lambda: values_there(mlflow_server, "live") == (Counter({(1, 1.0): 1}), "RUNNING"))
        run.log({"loss": 0.5}, 2)
    expected = Counter({(1, 1.0): 1, (2, 0.5): 1})
    assert values_there(mlflow_server, "live") == (expected, "FINISHED")
    assert warnings_in(caplog) == []
    assert sync(run.record, mlflow_server.uri).values == 0


@pytest.mark.slow  # needs the server
def test_a_server_that_goes_and_comes_back_has_all_of_it_after_one_warning(
    tmp_path, mlflow_server, caplog
):
    with Way(mlflow_server.uri) as way:
        with tracking.run("digits", "midway", root=tmp_path) as run:
            uploader = Uploader(run.directory, way.uri, every=0.05)
            uploader.start()
            run.log({"loss": 1.0}, 1)
            until(lambda: (values_there(mlflow_server, "midway") or [{}])[0])
            way.cut_after(0)  # the next request is served, and its answer is lost
            run.log({"loss": 0.5}, 2)
            until(lambda: warnings_in(caplog))
            run.log({"loss": 0.25}, 3)
            failed = len(way.requests)
            way.mend()
            until(lambda: len(way.requests) > failed)
        uploader.finish()
        uploader.finish()
    assert len(warnings_in(caplog)) == 1
    assert f"`jaxtrain runs sync {run.directory}`" in caplog.text
    expected = Counter({(1, 1.0): 1, (2, 0.5): 1, (3, 0.25): 1})
    assert values_there(mlflow_server, "midway") == (expected, "FINISHED")


def test_a_dead_server_costs_a_warning_and_nothing_else(tmp_path, caplog):
    uri = f"http://127.0.0.1:{free_port()}"
    with tracking.run("digits", "dead", root=tmp_path) as run:
        with uploading(run.directory, uri, every=0.01, last=5.0) as uploader:
            uploader._every = 0.01
            run.log({"loss": 1.0}, 1)
            until(lambda: warnings_in(caplog))
            run.log({"loss": 0.5}, 2)
        assert not uploader._thread.is_alive()
    (said,) = warnings_in(caplog)
    assert uri in said
    assert "all of it is on the disk" in said
    assert run.record.series("loss") == ([1, 2], [1.0, 0.5])


def test_it_is_tried_three_times_with_longer_pauses_before_the_warning(tmp_path, caplog):
    tries, pauses = [], []

    class Failing(Uploader):
        def _try(self):
            tries.append(len(pauses))
            super()._try()

        def _pause(self, seconds):
            pauses.append(seconds)

    with tracking.run("digits", "tries", root=tmp_path) as run:
        uploader = Failing(run.directory, f"http://127.0.0.1:{free_port()}", every=100)
        uploader.start()
        until(lambda: warnings_in(caplog))
        assert (tries, pauses) == ([0, 1, 2], [1.0, 2.0])
        uploader.finish()
    assert len(tries) == 4  # known to be dead: asked once more, at the end
    assert len(warnings_in(caplog)) == 1


def test_one_that_never_answers_delays_the_end_by_no_more_than_is_said(tmp_path, caplog):
    with Deaf() as server, tracking.run("digits", "deaf", root=tmp_path) as run:
        began = time.monotonic()
        with uploading(run.directory, server.uri, last=1.0):
            run.log({"loss": 1.0}, 1)
            until(lambda: server.taken)
            began = time.monotonic()
        assert 0.9 < time.monotonic() - began < 4
    (said,) = warnings_in(caplog)
    assert "no answer within 1 s" in said


def test_what_fails_by_itself_is_said_and_stays_in_the_thread(tmp_path, caplog):
    """A broken metadata.json, say: not for the training to fail by."""
    with tracking.run("digits", "broken", root=tmp_path) as run:
        (run.directory / "metadata.json").write_text("{")
        with uploading(run.directory, f"http://127.0.0.1:{free_port()}"):
            until(lambda: warnings_in(caplog))
    (said,) = warnings_in(caplog)
    assert "metadata.json: can't be read" in said


def test_before_a_run_has_begun_nothing_is_sent(tmp_path, caplog):
    with Deaf() as server, uploading(tmp_path, server.uri, every=0.01) as uploader:
        time.sleep(0.1)
    assert not uploader._thread.is_alive()
    assert server.taken == []
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_only_online_has_a_server(mode):
    with pytest.raises(ConfigError, match="a uri is for the mode 'online'"):
        tracking.set_mode(mode, uri="http://127.0.0.1:1")


def test_online_without_a_server_is_refused_at_once(monkeypatch):
    with pytest.raises(ConfigError, match="set MLFLOW_TRACKING_URI"):
        tracking.set_mode("online")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    tracking.set_mode("online")


def test_the_server_of_online_is_none_of_the_runs_that_begin_later_offline(tmp_path):
    with Deaf() as server:
        tracking.set_mode("online", uri=server.uri)
        tracking.set_mode("offline")
        with tracking.run("digits", "offline", root=tmp_path):
            time.sleep(0.1)
        assert server.taken == []


def test_the_process_of_a_script_that_nobody_answers_ends_well_and_in_time(tmp_path):
    """Without a word of `finish`: when Python ends, the last rows get their ten seconds."""
    script = textwrap.dedent(
        """
        import logging, sys
        from jaxtrain import tracking
        from jaxtrain.tracking.mlflow import uploader
        uploader.Uploader.__init__.__kwdefaults__["last"] = 2.0
        tracking.set_mode("online", uri=sys.argv[1])
        run = tracking.run("digits", "script", root=sys.argv[2])
        for step in range(100):
            run.log({"loss": step / 3}, step)
        """
    )
    with Deaf() as server:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", script, server.uri, str(tmp_path)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            timeout=60,
        )
        took = time.monotonic() - began
    assert done.returncode == 0
    assert took < 40
    assert done.stdout == ""
    assert done.stderr.count("is not sent") == 1, done.stderr
    assert "Traceback" not in done.stderr
    record = RunRecord.read(tmp_path / "digits" / "script")
    assert record.status == "completed"
    assert record.series("loss") == (list(range(100)), [step / 3 for step in range(100)])


def test_what_the_environment_says_of_mlflow_stays(monkeypatch):
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "5")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    prepare(10.0)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
