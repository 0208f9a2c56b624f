import errno
import json
import logging
import math
import os
from pathlib import Path

import pytest

from jaxtrain.engine import Events
from jaxtrain.hooks import CSV, JSONL, read_rows

EPOCHS = {"val/loss": [0.3, None, 0.1]}


@pytest.fixture
def make_run(make_engine, tmp_path):
    def make(directory, **options):
        engine = make_engine(
            epochs=EPOCHS, loss=lambda i: 1 / i, grad_norm=2.0, finite=True, loss_sum=3.0
        )
        engine.attach(JSONL(tmp_path / directory, **options))
        engine.attach(CSV(tmp_path / directory))
        return engine, tmp_path / directory

    return make


def test_rows_of_iterations_and_epochs(make_run):
    engine, directory = make_run("run", every=2)
    engine.run([0, 0, 0], max_epochs=2)
    rows, skipped = read_rows(directory / "metrics.jsonl")
    assert rows == [
        {"event": "iteration", "epoch": 1, "iteration": 2, "loss": 1 / 2, "grad_norm": 2.0},
        {"event": "epoch", "epoch": 1, "iteration": 3, "val/loss": 0.3},
        {"event": "iteration", "epoch": 2, "iteration": 4, "loss": 1 / 4, "grad_norm": 2.0},
        {"event": "iteration", "epoch": 2, "iteration": 6, "loss": 1 / 6, "grad_norm": 2.0},
        {"event": "epoch", "epoch": 2, "iteration": 6},
    ]
    assert skipped == 0


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED])
def test_killed_anywhere_and_resumed_from_anywhere_the_files_are_the_same(make_run, saved, event):
    engine, whole = make_run("whole", every=2)
    snapshots = saved(engine, event)
    engine.run([0] * 4, max_epochs=3)
    names = ("metrics.jsonl", "metrics.csv")
    expected = {name: (whole / name).read_bytes() for name in names}
    for number, snapshot in enumerate(snapshots):
        for cut in (0, 7, 200):  # the killed process came further than its last checkpoint
            again, directory = make_run(f"{number}-{cut}", every=2)
            directory.mkdir()
            for name, text in expected.items():
                behind = _bytes_behind(text, name, snapshot[1]["counters"])
                (directory / name).write_bytes(text[: max(behind, len(text) - cut)])
            again.restore(*snapshot)
            again.run([0] * 4, max_epochs=3)
            found = {name: (directory / name).read_bytes() for name in names}
            assert found == expected, (number, cut)


def _bytes_behind(text, name, counters):
    """The length that the file surely had when the checkpoint was taken."""
    done = counters["epoch"] - counters["epoch_open"]
    size = 0
    for line in text.splitlines(keepends=True):
        if name.endswith("csv"):
            epoch = line.split(b",")[0]
            over = epoch != b"epoch" and int(epoch) > done
        else:
            row = json.loads(line)
            over = row["iteration"] > counters["iteration"] or (
                row["event"] == "epoch" and row["epoch"] > done
            )
        if over:
            break
        size += len(line)
    return size


def test_a_run_begun_anew_begins_the_file_anew(make_run):
    engine, directory = make_run("run", every=1)
    for _ in range(2):
        engine.run([0], max_epochs=2)
        rows, _ = read_rows(directory / "metrics.jsonl")
        assert [row["iteration"] for row in rows] == [1, 1, 2, 2]


def test_garbage_is_skipped_counted_and_removed(make_run, saved, caplog):
    engine, directory = make_run("run", every=1)
    engine.run([0], max_epochs=2)
    path = directory / "metrics.jsonl"
    good = path.read_bytes()
    first, rest = good.split(b"\n", 1)
    path.write_bytes(first + b"\nnot json\n\xff\xfe\n[1, 2]\n" + rest + b'{"event": "itera')
    rows, skipped = read_rows(path)
    assert len(rows) == 4
    assert skipped == 4

    again, _ = make_run("run", every=1)
    again.restore(*saved(engine))
    with caplog.at_level(logging.WARNING):
        again.run([0], max_epochs=2)
    assert "dropped 4 lines that are not JSON objects\n" in caplog.text
    assert path.read_bytes() == good


def test_a_last_line_without_its_end_is_torn_even_if_it_parses(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"iteration": 1}\n{"iteration": 2}')
    assert read_rows(path) == ([{"iteration": 1}], 1)


def test_nan_and_inf_are_null(make_engine, tmp_path):
    engine = make_engine(loss=math.nan, grad_norm=math.inf)
    engine.attach(JSONL(tmp_path, every=1))
    engine.run([0])
    line = (tmp_path / "metrics.jsonl").read_text().splitlines()[0]
    assert '"loss": null, "grad_norm": null' in line


def test_a_full_disk_is_told_and_leaves_no_torn_row(make_run, monkeypatch):
    engine, directory = make_run("run", every=1)
    engine.run([0])
    path = directory / "metrics.jsonl"
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:9]))
    with pytest.raises(OSError, match=r"No space left on device.*metrics\.jsonl") as error:
        engine.run([0], max_epochs=2)
    assert error.value.errno == errno.ENOSPC
    assert path.read_bytes() == before


def test_nothing_is_written_before_the_run_begins(make_run):
    _, directory = make_run("run")
    assert not directory.exists()


@pytest.fixture
def synced(monkeypatch):
    """The row that stood last in metrics.jsonl, each time when that was synced."""
    seen = []
    fsync = os.fsync

    def record(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.name == JSONL.FILE_NAME:
            seen.append(json.loads(path.read_bytes().splitlines()[-1]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return seen


def test_an_epochs_row_is_on_the_disk_before_anybody_else_hears_of_the_epoch(make_run, synced):
    engine, _ = make_run("run", every=1)
    synced_then = []
    engine.attach_handler(
        Events.EPOCH_COMPLETED, lambda: synced_then.append(len(synced)), needs=("metrics",)
    )
    engine.run([0, 0], max_epochs=2)
    assert [(row["event"], row["epoch"]) for row in synced] == [("epoch", 1), ("epoch", 2)]
    assert synced_then == [1, 2]


def test_a_run_that_goes_on_drops_the_rows_that_it_will_write_again(make_run):
    engine, directory = make_run("run", every=1)
    engine.fire(Events.RESUMED)
    path = directory / "metrics.jsonl"
    path.write_text(
        '{"event": "iteration", "epoch": 1, "iteration": 1}\n'
        '{"event": "iteration", "epoch": 1, "iteration": 2}\n{"event": "epo'
    )
    engine.state.epoch, engine.state.iteration, engine.state.epoch_open = 1, 1, True
    engine.fire(Events.RESUMED)
    assert read_rows(path) == ([{"event": "iteration", "epoch": 1, "iteration": 1}], 0)


ODD = [
    b'{"event": "iteration", "epoch": 1, "iteration": null, "loss": 1}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": "1", "loss": 1}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": true, "loss": 1}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": 1.5}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": -1}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": [1]}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": 1e999}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": 1' + b"0" * 400 + b"}\n",
    b'{"event": "epoch", "epoch": null, "iteration": 1}\n',
    b'{"event": "epoch", "epoch": {}, "iteration": 1}\n',
    b'{"event": "epoch", "iteration": 1}\n',
    b'{"event": ["epoch"], "iteration": null, "epoch": 1}\n',
    b"{}\n",
]
GARBAGE = [
    b'{"event": "iteration", "epoch": 1, "iteration": 1' + b"0" * 5000 + b"}\n",
    b'{"event": "iteration", "epoch": 1, "iteration": NaN}\n',
    b'{"event": "iteration", "epoch": 1, "iteration": 1, "loss": Infinity}\n',
    b'{"iteration": 1, "epoch": 1, "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}\n",
    b"\0\0\0\n",
]


@pytest.mark.parametrize("line", [*ODD, *GARBAGE], ids=range(len(ODD) + len(GARBAGE)))
def test_a_row_that_can_not_be_right_is_dropped_and_told(make_run, saved, caplog, line):
    """At 888f0db an iteration of null ended the continuation with a TypeError."""
    engine, directory = make_run("run", every=1)
    engine.run([0], max_epochs=2)
    path = directory / "metrics.jsonl"
    good = path.read_bytes()
    first, rest = good.split(b"\n", 1)
    path.write_bytes(first + b"\n" + line + rest)
    again, _ = make_run("run", every=1)
    again.restore(*saved(engine))
    with caplog.at_level(logging.WARNING):
        again.run([0], max_epochs=2)
    what = "that do not say epoch and iteration" if line in ODD else "that are not JSON objects"
    assert f"metrics.jsonl: dropped {line.count(10)} lines {what}\n" in caplog.text
    assert path.read_bytes() == good


def test_rows_that_stay_stay_to_the_byte(make_run, saved, caplog):
    """Those of somebody else, too, who writes them in another way."""
    engine, directory = make_run("run", every=1)
    engine.run([0], max_epochs=1)
    path = directory / "metrics.jsonl"
    mine = b'{ "note":"\\ud800", "epoch":1,"iteration":1 ,"big": 1' + b"0" * 400 + b"}\n"
    kept = path.read_bytes() + mine
    path.write_bytes(b"{}\n" + kept)
    again, _ = make_run("run", every=1)
    again.restore(*saved(engine))
    again.run([0], max_epochs=1)
    assert path.read_bytes() == kept
    assert "dropped 1 lines" in caplog.text
