"""What handlers log stands where the engine stands, and comes once, however often a run stops."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain import tracking
from jaxtrain.engine import Events
from jaxtrain.errors import Interrupted
from jaxtrain.hooks import JSONL, TensorBoard, Tracking
from jaxtrain.tracking import Run, RunRecord, read_rows, write_metadata


@pytest.fixture
def make_run(make_engine, tmp_path):
    """make_run("name"): an engine that logs at every moment, and the directory it logs into."""

    def make(name):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        engine = make_engine(loss=lambda i: 1 / i)
        run = Run(directory)
        engine.attach(JSONL(directory, every=2))
        engine.attach(Tracking(run))
        engine.on(Events.STARTED)(lambda e: run.log_text("begin", "x"))
        engine.on(Events.EPOCH_STARTED)(lambda e: run.log({"opened": e.state.epoch}))
        engine.on(Events.COMPLETED)(lambda e: run.log({"over": 1}))
        engine.on(Events.ITERATION_COMPLETED)(lambda e: run.log({"each": e.state.iteration}))
        engine.on(Events.ITERATION_COMPLETED(every=3))(
            lambda e: run.log_image("p", np.full((2, 2), e.state.iteration, np.uint8))
        )
        engine.on(Events.EPOCH_COMPLETED)(lambda e: run.log({"whole": e.state.epoch}))
        engine.on(Events.EPOCH_COMPLETED)(lambda e: run.log_text("end", str(e.state.epoch)))
        return engine, directory

    return make


def files(directory):
    found = {p.relative_to(directory): p for p in directory.rglob("*") if p.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items()}


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED])
def test_killed_anywhere_and_resumed_from_anywhere_the_files_are_the_same(make_run, saved, event):
    engine, whole = make_run("whole")
    snapshots = saved(engine, event)
    engine.run([0] * 4, max_epochs=3)
    expected = files(whole)
    assert len(expected) == 2 + 1 + 4 + 3
    rows = read_rows(whole / "metrics.jsonl")[0]
    assert [row["step"] for row in rows if "each" in row] == list(range(1, 13))
    assert [(row["step"], row["at"]["done"]) for row in rows if "whole" in row] == [
        (4, 1),
        (8, 2),
        (12, 3),
    ]
    assert [row["step"] for row in rows if "opened" in row] == [0, 4, 8]
    assert [row["step"] for row in rows if "over" in row] == [12]
    assert snapshots
    for number, snapshot in enumerate(snapshots):
        name = str(number)
        killed, directory = make_run(name)  # it came to the end, and its last checkpoint is lost
        killed.run([0] * 4, max_epochs=3)
        again, _ = make_run(name)
        again.restore(*snapshot)
        again.run([0] * 4, max_epochs=3)
        assert files(directory) == expected, number


def test_what_begins_anew_forgets_all(make_run):
    engine, whole = make_run("whole")
    engine.run([0] * 4)
    expected = files(whole)
    again, _ = make_run("whole")
    again.run([0] * 4)
    assert files(whole) == expected


def test_what_a_script_logs_itself_is_no_engines(make_engine, tmp_path):
    run = Run(tmp_path)
    run.log({"rows": 5}, step=0)
    run.log_text("sample", "x")
    for fold in range(2):
        engine = make_engine(loss=1.0)
        engine.attach(Tracking(run))
        engine.on(Events.EPOCH_COMPLETED)(lambda e, fold=fold: run.log({"fold": fold}, axis="fold"))
        engine.run([0] * 3)
        run.log({"between": fold})
    engine.run([0] * 3, max_epochs=2)  # the last one goes on
    rows = read_rows(tmp_path / "metrics.jsonl")[0]
    assert [row["rows"] for row in rows if "rows" in row] == [5]
    assert [row["fold"] for row in rows if "fold" in row] == [0, 1, 1]
    assert [row["between"] for row in rows if "between" in row] == [0, 1]
    assert [m["name"] for m in read_rows(tmp_path / "media.jsonl")[0]] == ["sample"]


def test_an_event_that_is_fired_anew_logs_once(make_run):
    engine, directory = make_run("run")
    calls = []

    @engine.on(Events.EPOCH_COMPLETED, priority=10**6)  # after all others
    def leave(engine):
        calls.append(engine.state.epoch)
        if len(calls) == 1:
            raise Interrupted("later")

    engine.run([0] * 4, max_epochs=2)
    engine.run([0] * 4, max_epochs=2)
    assert calls == [1, 1, 2]
    rows = read_rows(directory / "metrics.jsonl")[0]
    assert [row["whole"] for row in rows if "whole" in row] == [1, 2]
    assert [m["step"] for m in read_rows(directory / "media.jsonl")[0] if m["name"] == "end"] == [
        4,
        8,
    ]


def test_tensorboard_hears_of_the_current_run_while_the_engine_runs(make_engine, tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = {"seed": 3, "checkpoint": {"monitor": "val/loss"}}
    write_metadata(tmp_path, "running", project="p", config=config)
    run = Run(tmp_path)
    engine = make_engine(loss=1.0)
    engine.attach(TensorBoard(tmp_path, every=2))
    engine.attach(Tracking(run))
    engine.on(Events.EPOCH_COMPLETED)(lambda e: tracking.log_text("t", "x"))
    engine.on(Events.EPOCH_COMPLETED)(lambda e: tracking.log({"margin": 0.5}))
    with tracking.recording(run):
        engine.run([0] * 4)
        run.log({"later": 1})
    found = accumulators.EventAccumulator(str(tmp_path))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == ["margin", "step/loss"]
    assert [event.step for event in found.Scalars("margin")] == [4]
    assert found.Tags()["tensors"] == ["t/text_summary"]
    assert "_hparams_/session_start_info" in found.summary_metadata
    assert RunRecord.read(tmp_path).names == ["margin", "later"]


def test_a_loop_that_was_left_has_one_event_file_at_a_time(make_engine, tmp_path):
    write_metadata(tmp_path, "running", project="p", config={})
    run = Run(tmp_path)
    engine = make_engine(loss=1.0)
    hook = engine.attach(TensorBoard(tmp_path))
    with tracking.recording(run):
        for _ in range(2):
            hook._open(engine)
        assert len(run._sinks) == 1
        hook._close(engine)
    assert run._sinks == []
