"""Through a real server: what is there is what is on the disk, however often it was sent."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jaxtrain import tracking
from jaxtrain.errors import ConfigError, ServerError, UnreachableError
from jaxtrain.tracking import Artifact, RunRecord, append_row
from jaxtrain.tracking.mlflow import is_sent, sync
from jaxtrain.tracking.mlflow.sending import Sending
from jaxtrain.tracking.mlflow.sent import FILE_NAME
from tests.mlflow_server import Way

pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow  # the server takes ten seconds to start


def begun(tmp_path, name="first", **more):
    return tracking.run("digits", name, root=tmp_path / "runs", **more)


def rows_there(server, run_id):
    """(key, step, value) of all series, with how often it is there."""
    keys = server.client.get_run(run_id).data.metrics
    history = [one for key in keys for one in server.client.get_metric_history(run_id, key)]
    return Counter(
        (one.key, one.step, "nan" if math.isnan(one.value) else one.value) for one in history
    )


def runs_there(server, project="digits"):
    experiment = server.client.get_experiment_by_name(project)
    return server.client.search_runs([experiment.experiment_id])


def files_there(server, run_id, folder=None):
    found = {}
    for one in server.client.list_artifacts(run_id, folder):
        if one.is_dir:
            found.update(files_there(server, run_id, one.path))
        else:
            found[one.path] = one.file_size
    return found


def a_full_run(tmp_path, name="full"):
    """All that a run can hold, and what stands on the server for it."""
    file = tmp_path / "weights.bin"
    file.write_bytes(b"weights")
    with begun(tmp_path, name, config={"lr": 1e-3, "model": {"width": 64}}, tags=["a", "b"]) as run:
        for step in range(1, 6):
            run.log({"loss": 1 / step}, step)
        run.log({"loss": 1 / 5}, 5)  # the same once more is two values
        run.log({"loss": float("nan"), "big": 2**60}, 6)
        run.log({"loss": 7.0}, 1, axis="tokens")
        run.log({"axis/tokens/loss": 8.0}, 7)  # looks as if it were the one above
        append_row(run.directory / "metrics.jsonl", row("iteration", 6, loss=0.5))
        append_row(run.directory / "metrics.jsonl", row("epoch", 6, loss=0.25))
        run.log_image("grid", np.zeros([2, 2]), 3)
        run.log_text("said/it", "words", 3)
        run.log_artifact(Artifact("model", "model").add_file(file, "deep/weights.bin"))
    expected = Counter({("loss", step, 1 / step): 1 for step in range(1, 6)})
    expected["loss", 5, 1 / 5] = 2
    others = {("loss", 6, "nan"), ("big", 6, 2.0**60), ("axis/tokens/loss", 1, 7.0)}
    others |= {("step/loss", 6, 0.5), ("epoch/loss", 6, 0.25)}
    expected.update(others)
    return run, expected


def row(event, iteration, **figures):
    return {"event": event, "epoch": 1, "iteration": iteration, **figures}


def as_named(found):
    """Without the series that was given another name."""
    other = [key for key, *_ in found if key.startswith("axis_tokens") or "-" in key]
    assert len(set(other)) <= 1
    return Counter({place: n for place, n in found.items() if place[0] not in other}), other


def test_all_that_a_run_holds_is_there_and_a_second_time_nothing_is_sent(tmp_path, mlflow_server):
    run, expected = a_full_run(tmp_path)
    record = run.record
    first = sync(record, mlflow_server.uri)
    named, other = as_named(rows_there(mlflow_server, first.run_id))
    assert named == expected
    assert len(other) == 1
    there = mlflow_server.client.get_run(first.run_id)
    assert there.data.params == {"lr": "0.001", "model.width": "64"}
    assert there.info.status == "FINISHED"
    assert there.info.run_name == "full"
    assert json.loads(there.data.tags["jaxtrain.tags"]) == ["a", "b"]
    assert there.data.tags["jaxtrain.run"] == "digits/full"
    started = record.metadata["started"]
    assert abs(there.info.start_time / 1000 - _seconds(started)) < 0.01
    assert 0 <= there.info.end_time / 1000 - _seconds(record.metadata["time"]) < 1
    artifact, medium = record.artifacts[0], record.media[0]
    files = files_there(mlflow_server, first.run_id)
    assert files == {
        name: (record.path / name).stat().st_size
        for name in (
            "metadata.json",
            "media.jsonl",
            "artifacts/index.jsonl",
            medium["file"],
            record.media[1]["file"],
            f"artifacts/model/{artifact.version}/deep/weights.bin",
        )
    }
    assert first.values == sum(expected.values()) + 1
    assert first.params == 2
    assert first.files == len(files)
    assert any("not finite" in note for note in first.notes)
    assert any("'axis/tokens/loss' 'axis/tokens/loss-" in note for note in first.notes)
    assert first.url.endswith(f"/runs/{first.run_id}")
    assert is_sent(run.record, mlflow_server.uri)

    second = sync(run.record, mlflow_server.uri)
    assert (second.run_id, second.values, second.params, second.files) == (first.run_id, 0, 0, 0)
    (run.directory / FILE_NAME).unlink()
    third = sync(run.record, mlflow_server.uri)
    assert (third.run_id, third.values, third.params) == (first.run_id, 0, 0)
    assert third.files == 3  # metadata.json and the indices: they may have become others
    assert as_named(rows_there(mlflow_server, first.run_id))[0] == expected


def test_wherever_it_is_cut_off_the_next_one_brings_the_rest(tmp_path, mlflow_server):
    run, expected = a_full_run(tmp_path, "cut")
    with Way(mlflow_server.uri) as way:
        sync(run.record, way.uri)
        asked = [request.split("?")[0] for request in way.requests]
    # The first request of each kind, and the last of all: several files are one kind.
    kinds = [request.rpartition("/artifacts/")[0] or request for request in asked]
    cuts = sorted({*map(kinds.index, kinds), len(asked) - 1})
    assert len(cuts) > 8
    for cut in cuts:
        name = f"cut{cut}"
        place = shutil.copytree(run.directory, tmp_path / "runs" / "digits" / name)
        said = json.loads((place / "metadata.json").read_text())  # else it were the same run
        (place / "metadata.json").write_text(json.dumps({**said, "uid": name}))
        record = RunRecord.read(tmp_path / "runs" / "digits" / name)
        (record.path / FILE_NAME).unlink()
        with Way(mlflow_server.uri) as way:
            way.cut_after(cut)
            with pytest.raises(UnreachableError):
                sync(record, way.uri)
            assert not is_sent(record, way.uri)
            way.mend()
            done = sync(record, way.uri)
        found = [r for r in runs_there(mlflow_server) if r.info.run_name == name]
        assert [r.info.run_id for r in found] == [done.run_id]
        assert as_named(rows_there(mlflow_server, done.run_id))[0] == expected, cut
        assert len(files_there(mlflow_server, done.run_id)) == 6
        assert found[0].info.status == "FINISHED"
        assert is_sent(record, way.uri)


def test_while_a_run_goes_on_only_what_is_new_is_sent(tmp_path, mlflow_server):
    with begun(tmp_path, "online") as run:
        sending = Sending(run.directory, mlflow_server.uri)
        run.log({"loss": 3.0}, 1)
        first = sending.send()
        assert mlflow_server.client.get_run(first.run_id).info.status == "RUNNING"
        run.log({"loss": 2.0}, 2)
        assert sending.send().values == 1
        with (run.directory / "metrics.jsonl").open("a") as stream:  # it is just being written
            stream.write('{"event": "log", "epoch": 0, "iteration": 3, "step": 3, "lo')
        assert sending.send().values == 0
        with (run.directory / "metrics.jsonl").open("a") as stream:
            stream.write('ss": 1.0}\n')
        assert sending.send().values == 1
    last = sending.send()
    assert last.values == 0
    assert mlflow_server.client.get_run(first.run_id).info.status == "FINISHED"
    expected = Counter({("loss", 1, 3.0): 1, ("loss", 2, 2.0): 1, ("loss", 3, 1.0): 1})
    assert rows_there(mlflow_server, first.run_id) == expected
    # Another process goes on with sync.json, and reads nothing back.
    with begun(tmp_path, "online", resume=True) as run:
        run.log({"loss": 0.5}, 4)
        with Way(mlflow_server.uri) as way:
            again = Sending(run.directory, mlflow_server.uri)
            again.uri = way.uri
            (run.directory / FILE_NAME).write_text(
                (run.directory / FILE_NAME).read_text().replace(mlflow_server.uri, way.uri)
            )
            assert again.send().values == 1
        assert not any("get-history" in request for request in way.requests)
    expected["loss", 4, 0.5] += 1
    assert rows_there(mlflow_server, first.run_id) == expected


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("within", [True, False])
def test_behind_a_lost_answer_the_server_is_asked_what_it_has(
    tmp_path, mlflow_server, within, served
):
    """Whether in this process or another: neither the file nor the memory of it vouches then."""
    run = begun(tmp_path, f"lost{within}{served}")
    run.log({"loss": 1.0}, 1)
    with Way(mlflow_server.uri) as way:
        sending = Sending(run.directory, way.uri)
        sending.send()
        run.log({"loss": 0.5}, 2)
        if served:
            way.cut_after(0)
        else:
            way.cut()
        with pytest.raises(UnreachableError):
            sending.send()
        way.mend()
        done = (sending if within else Sending(run.directory, way.uri)).send()
    assert done.values == (0 if served else 1)
    run.finish()
    assert rows_there(mlflow_server, done.run_id) == Counter(
        {("loss", 1, 1.0): 1, ("loss", 2, 0.5): 1}
    )


@pytest.mark.parametrize("within", [True, False])
def test_rows_that_were_taken_back_and_came_again_are_there_once(tmp_path, mlflow_server, within):
    run = begun(tmp_path, f"rewound{within}")
    sending = Sending(run.directory, mlflow_server.uri)
    for step in range(1, 7):
        run.log({"loss": 1 / step}, step)
    sending.send()
    run.rewind_to(3)
    sending = sending if within else Sending(run.directory, mlflow_server.uri)
    for step in range(4, 9):
        run.log({"loss": 1 / step}, step)
    sending.send()
    run.finish()
    done = sending.send()
    assert done.notes == ()
    expected = Counter({("loss", step, 1 / step): 1 for step in range(1, 9)})
    assert rows_there(mlflow_server, done.run_id) == expected


def test_rows_that_came_otherwise_are_told_of(tmp_path, mlflow_server):
    run = begun(tmp_path, "otherwise")
    for step in range(1, 4):
        run.log({"loss": 1.0}, step)
    Sending(run.directory, mlflow_server.uri).send()
    run.rewind_to(2)
    Sending(run.directory, mlflow_server.uri).send()
    run.log({"loss": 2.0}, 3)
    run.finish()
    done = Sending(run.directory, mlflow_server.uri).send()
    assert "1 values that were taken back here, such as loss at 3" in done.notes[0]
    expected = Counter({("loss", 1, 1.0): 1, ("loss", 2, 1.0): 1, ("loss", 3, 1.0): 1})
    expected["loss", 3, 2.0] = 1
    assert rows_there(mlflow_server, done.run_id) == expected


def test_two_at_once_make_one_run(tmp_path, mlflow_server):
    with begun(tmp_path, "twice", config={"lr": 1}) as run:
        for step in range(1500):
            run.log({"loss": step / 3}, step)
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(sync(run.record, mlflow_server.uri)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.run_id for one in done}) == 1
    assert sorted(one.values for one in done) == [0, 0, 1500]
    found = [one for one in runs_there(mlflow_server) if one.info.run_name == "twice"]
    assert len(found) == 1
    expected = Counter({("loss", step, step / 3): 1 for step in range(1500)})
    assert rows_there(mlflow_server, done[0].run_id) == expected


def test_a_copy_is_the_same_run_and_one_begun_at_another_time_is_another(tmp_path, mlflow_server):
    with begun(tmp_path, "copied") as run:
        run.log({"loss": 1.0}, 1)
    first = sync(run.record, mlflow_server.uri)
    elsewhere = tmp_path / "elsewhere" / "digits" / "copied"
    shutil.copytree(run.directory, elsewhere, ignore=shutil.ignore_patterns(FILE_NAME))
    again = sync(RunRecord.read(elsewhere), mlflow_server.uri)
    assert (again.run_id, again.values) == (first.run_id, 0)
    with tracking.run("digits", "copied", root=tmp_path / "others") as run:
        run.log({"loss": 2.0}, 1)
    assert sync(run.record, mlflow_server.uri).run_id != first.run_id


def test_hostile_names_arrive_apart_and_are_told_of(tmp_path, mlflow_server):
    long = "n" * 300
    config = {
        "a.b": 1,
        "a": {"b": 2},
        "": "empty",
        "../../etc": "up",
        "100 %": None,
        "new\nline": "nul\0 half \ud800",
        "list": [1, {"x": 2}],
        "nothing": {},
        "ünï": "ö",
        long: "long",
        "text": "x" * 7000,
        **{f"many{n:03}": "ö" * 5999 for n in range(60)},
    }
    tags = ["it's", '"', "`x`", "a" * 6000, "", "line\n\0break", "\ud800"]
    names = ["100 %", "a//b", "..", "/abs", "x\n", long, long + "x", "émile", "step/loss", "a\\b"]
    with begun(tmp_path, "hostile", config=config, tags=tags) as run:
        for number, name in enumerate(names):
            run.log({name: float(number)}, 1)
    done = sync(run.record, mlflow_server.uri)
    there = mlflow_server.client.get_run(done.run_id)
    assert len(there.data.params) == len(config)
    values = Counter(there.data.params.values())
    assert {*"12", "empty", "up", "null", "nul\\x00 half \\ud800", '[1, {"x": 2}]', "{}"} <= {
        *values
    }
    assert there.data.params["ünï"] == "ö"
    assert there.data.params["text"] == "x" * 5999 + "…"
    assert values["ö" * 5999] == 60
    assert sorted(there.data.metrics.values()) == [float(n) for n in range(len(names))]
    assert there.data.metrics["émile"] == 7.0
    assert json.loads(there.data.tags["jaxtrain.tags"])[:3] == tags[:3]
    notes = "\n".join(done.notes)
    assert "6000 characters: params text" in notes
    assert "characters: 4 tags" in notes
    assert "called otherwise there" in notes
    assert sync(run.record, mlflow_server.uri).params == 0


def test_a_config_that_changed_is_told_of_and_the_rest_arrives(tmp_path, mlflow_server, caplog):
    with begun(tmp_path, "changed", config={"epochs": 1}):
        pass
    sync(RunRecord.read(tmp_path / "runs/digits/changed"), mlflow_server.uri)
    with begun(tmp_path, "changed", config={"epochs": 2, "new": 1}, resume=True) as run:
        run.log({"loss": 1.0})
    done = sync(run.record, mlflow_server.uri)
    assert "params epochs; metadata.json there has them" in done.notes[0]
    there = mlflow_server.client.get_run(done.run_id).data
    assert there.params == {"epochs": "1", "new": "1"}
    assert there.metrics == {"loss": 1.0}


@pytest.mark.parametrize(
    ("ended", "status"),
    [("interrupted", "KILLED"), ("failed: ValueError: no", "FAILED"), ("killed", "KILLED")],
)
def test_how_a_run_ended_is_there(tmp_path, mlflow_server, ended, status):
    run = begun(tmp_path, f"ended-{status}-{ended[0]}")
    run.log({"loss": 1.0}, 1)
    run.finish("running" if ended == "killed" else ended)  # as a kill leaves it
    done = sync(run.record, mlflow_server.uri)
    there = mlflow_server.client.get_run(done.run_id)
    assert there.info.status == status
    assert there.data.tags["jaxtrain.status"] == ended
    assert there.info.end_time >= there.info.start_time
    begun(tmp_path, run.id, resume=True).finish()
    sync(RunRecord.read(run.directory), mlflow_server.uri)
    assert mlflow_server.client.get_run(done.run_id).info.status == "FINISHED"


def test_a_damaged_artifact_stays_here_and_is_told_of(tmp_path, mlflow_server):
    run, _ = a_full_run(tmp_path, "damaged")
    file = next((run.directory / "artifacts" / "model").rglob("*.bin"))
    file.chmod(0o644)
    file.write_bytes(b"other")
    done = sync(run.record, mlflow_server.uri)
    assert any("was changed" in note for note in done.notes)
    assert not any("weights" in name for name in files_there(mlflow_server, done.run_id))
    assert not is_sent(run.record, mlflow_server.uri)
    file.write_bytes(b"weights")
    done = sync(run.record, mlflow_server.uri)
    assert done.files == 1
    assert is_sent(run.record, mlflow_server.uri)


def test_nothing_from_elsewhere_is_sent(tmp_path, mlflow_server):
    """A link in a run's directory may lead to what is nobody's business."""
    (tmp_path / "secret").write_text("secret")
    with begun(tmp_path, "links") as run:
        run.log_image("grid", np.zeros([2, 2]), 3)
    index = run.directory / "media.jsonl"
    line = {"kind": "text", "name": "x", "step": 1, "file": "../../../secret"}
    index.write_text(index.read_text() + json.dumps(line) + "\n")
    (run.directory / "metrics.json").symlink_to(tmp_path / "secret")
    (run.directory / "x.png").symlink_to(tmp_path / "secret")
    (run.directory / "media" / "images" / "l.png").symlink_to(tmp_path / "secret")
    done = sync(run.record, mlflow_server.uri)
    names = {Path(name).name for name in files_there(mlflow_server, done.run_id)}
    assert names == {"metadata.json", "media.jsonl", Path(run.record.media[0]["file"]).name}


def test_a_deleted_experiment_is_said(tmp_path, mlflow_server):
    with tracking.run("gone", "one", root=tmp_path) as run:
        run.log({"loss": 1.0})
    done = sync(run.record, mlflow_server.uri)
    experiment = mlflow_server.client.get_run(done.run_id).info.experiment_id
    mlflow_server.client.delete_experiment(experiment)
    with pytest.raises(ServerError, match="'gone' was deleted") as said:
        sync(run.record, mlflow_server.uri)
    assert not isinstance(said.value, UnreachableError)


def test_a_run_that_was_deleted_there_is_made_anew(tmp_path, mlflow_server):
    with begun(tmp_path, "deleted") as run:
        run.log({"loss": 1.0})
    first = sync(run.record, mlflow_server.uri)
    mlflow_server.client.delete_run(first.run_id)
    second = sync(run.record, mlflow_server.uri)
    assert second.run_id != first.run_id
    assert (second.values, second.files) == (1, 1)


def test_there_must_be_a_run(tmp_path, mlflow_server):
    with pytest.raises(ConfigError, match="holds no run"):
        Sending(tmp_path, mlflow_server.uri).send()


def _seconds(time):
    from datetime import datetime

    return datetime.fromisoformat(time).timestamp()
