"""Faults 20 and 21: the server of a record is down, goes down, never answers; a later sync."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from jaxtrain.tracking import RunRecord
from tests.mlflow_server import Way, free_port
from tests.tracking.deaf import Deaf

pytest.importorskip("mlflow")

pytestmark = pytest.mark.slow


def online(uri: str) -> dict[str, str]:
    return {"tracking__mode": "online", "tracking__uri": uri}


def test_fault_20_a_dead_server_costs_one_warning(runs, whole):
    changes = online(f"http://127.0.0.1:{free_port()}")
    assert runs.run("run", **changes) == 0, runs.said("run")
    assert runs.said("run").count("is not sent") == 1
    assert "`jaxtrain runs sync " in runs.said("run")
    runs.assert_equal("run", whole)


def test_fault_20_one_that_never_answers_delays_the_end_by_ten_seconds_at_most(runs, whole):
    assert runs.run("before") == 0
    with Deaf() as server:
        began = time.monotonic()
        assert runs.run("run", **online(server.uri)) == 0, runs.said("run")
        took = time.monotonic() - began
        assert server.taken
    assert took < 60  # ten, and a training
    assert runs.said("run").count("is not sent") == 1
    runs.assert_equal("run", whole)


def test_faults_20_and_21_killed_on_the_way_and_the_server_gone_all_of_it_arrives_once(
    runs, whole, mlflow_server, tmp_path
):
    with Way(mlflow_server.uri) as way:
        changes = online(way.uri)
        there = tmp_path / "there"
        dispatch = {"target": "jaxtrain.engine.device.dispatch:Dispatch.run", "nth": 12}
        process = runs.start("run", [["hold_at", {**dispatch, "path": str(there)}]], **changes)
        runs.wait_for(there)
        time.sleep(1)  # something may be on its way
        process.kill(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        way.cut()
        runs.finish("run", whole, **changes)
        assert runs.said("run").count("is not sent") == 1
    for _ in range(2):
        code, said = runs.command("runs", "sync", str(tmp_path / "run"), "--uri", mlflow_server.uri)
        assert code == 0, said
    assert "sent nothing new" in said
    record = RunRecord.read(tmp_path / "run")
    experiment = mlflow_server.client.get_experiment_by_name("small")
    (found,) = mlflow_server.client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    for name, event in (("val/loss", "epoch"), ("loss", "iteration")):
        tag = f"step/{name}" if event == "iteration" else name
        history = mlflow_server.client.get_metric_history(found.info.run_id, tag)
        assert Counter((one.step, one.value) for one in history) == Counter(
            zip(*record.series(name, event), strict=True)
        )
        assert history


def test_an_online_run_is_on_the_server_when_it_ends(runs, whole, mlflow_server, tmp_path):
    changes = {**online(mlflow_server.uri), "project": "direct", "tracking__tags": '["wide"]'}
    assert runs.run("run", **changes) == 0, runs.said("run")
    assert "is not sent" not in runs.said("run")
    runs.assert_equal("run", whole)
    experiment = mlflow_server.client.get_experiment_by_name("direct")
    (found,) = mlflow_server.client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["model.hidden"] == "[8]"
    files = {one.path for one in mlflow_server.client.list_artifacts(found.info.run_id)}
    assert {"config.yaml", "metrics.json", "learning_curves.png", "media"} <= files
    code, said = runs.command("runs", "sync", str(tmp_path / "run"), "--uri", mlflow_server.uri)
    assert (code, said.count("sent nothing new")) == (0, 1), said
