import gc
import itertools
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from jaxtrain.batch import ROW_MASK
from jaxtrain.data import ArrayLoader, GrainLoader
from jaxtrain.data.grain_stream import Stream
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError, WorkerError
from tests import compiling

ROOT = Path(__file__).parents[2]


class Rows:
    """Record i is {"x": [i, i]}; what is in `bad` can't be read, and `deadly` kills the reader."""

    def __init__(self, length=22, bad=(), odd=(), deadly=None):
        self.length, self.bad, self.odd, self.deadly = length, set(bad), set(odd), deadly

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if index in self.bad:
            raise OSError(f"rows.bin: no record at {index}")
        return {"x": np.full(3 if index in self.odd else 2, index, np.float32)}

    def fingerprint(self):
        return f"rows of {self.length}"


@pytest.fixture
def make(request):
    """Makes loaders, and ends what waits in them after the test."""

    def make(records=None, **options):
        loader = GrainLoader(records or Rows(), **{"batch_size": 4, **options})
        request.addfinalizer(loader.close)
        return loader

    return make


def plain(batch):
    return {name: array.tolist() for name, array in batch.items()}


def stream(loader, epochs=2, cursor=None):
    """The batches from a place on, up to the end of that many epochs."""
    return [batch for batch, _ in walk(loader, epochs, cursor)]


def walk(loader, epochs=2, cursor=None):
    taken, batches = [], loader.batches(cursor)
    cursor = cursor or loader.start()
    while cursor["epoch"] < epochs:
        batch, cursor = next(batches)
        taken.append((plain(batch), cursor))
    batches.close()
    return taken


def by_arrays(**options):
    x = np.repeat(np.arange(22, dtype=np.float32)[:, None], 2, 1)
    return ArrayLoader({"x": x}, **{"batch_size": 4, **options})


@pytest.mark.parametrize(
    "options", [{}, {"last_batch": "drop"}, {"shuffle": False}, {"seed": 3, "batch_size": 11}]
)
def test_its_batches_are_those_of_an_array_loader(make, options):
    loader = make(**options)
    assert stream(loader, 3) == stream(by_arrays(**options), 3)


def test_workers_change_nothing(make):
    expected = stream(by_arrays())
    for workers in (1, 2):
        assert stream(make(workers=workers)) == expected


def test_a_place_is_found_again_with_another_number_of_workers(make):
    cursor = json.loads(json.dumps(walk(make(workers=2), 1)[3][1]))
    again = make(workers=0, ahead=1)
    assert stream(again, 3, cursor) == stream(by_arrays(), 3)[4:]


def test_fault_17_a_corrupt_record_is_named(make):
    loader = make(Rows(bad=[9]))
    with pytest.raises(DataError, match=r"record 9 \(counted from 0\) is corrupt: OSError: rows"):
        stream(loader)
    other = make(Rows(odd=[9]))
    with pytest.raises(DataError, match=r"expected x float32\[2\] as in the first record, found x"):
        stream(other)
    with pytest.raises(DataError, match="record 0 "):
        make(Rows(bad=[0]))


@pytest.mark.parametrize("workers", [0, 2])
def test_fault_17_corrupt_records_are_left_out_and_counted(make, caplog, workers):
    loader = make(Rows(bad=[0, 9], odd=[13]), max_corrupt=3, workers=workers)
    seen = []
    with caplog.at_level(logging.WARNING):
        for batch, cursor in itertools.islice(loader.batches(), 12):  # noqa: B007
            real = batch[ROW_MASK] > 0
            assert batch["x"].shape == (4, 2)
            assert np.isfinite(batch["x"]).all()
            seen.extend(batch["x"][real][:, 0].tolist())
    assert sorted(seen) == sorted(2 * [i for i in range(22) if i not in (0, 9, 13)])
    assert set(loader.skipped(cursor)) == {0, 9, 13}
    assert "3 of at most 3" in caplog.text
    list(loader)
    assert len(caplog.records) == 3, "each is told once"


def test_fault_17_one_more_than_allowed_is_an_error(make):
    loader = make(Rows(bad=[3, 9, 13]), max_corrupt=2, shuffle=False)
    batches, cursors = loader.batches(), [loader.start()]
    with pytest.raises(DataError, match=r"record 13 .*; left out before: records 3, 9"):
        cursors.extend(cursor for _, cursor in batches)
    assert [set(loader.skipped(cursor)) for cursor in cursors] == [set(), {3}, {3}, {3, 9}]
    # Whoever comes after has its own count: what was met before a place is part of the place.
    with pytest.raises(DataError, match=r"record 13 .*; left out before: records 3, 9"):
        list(loader)
    with pytest.raises(DataError, match=r"record 13 .*; left out before: records 3, 9"):
        list(loader.batches(cursors[1]))


@pytest.mark.parametrize("form", ["pad", "drop"])
def test_fault_17_a_run_that_skips_goes_on_to_the_same_place(make, form):
    records = Rows(bad=[2, 9, 13])
    whole = walk(make(records, max_corrupt=3, last_batch=form), 3)
    assert [i for i, _ in whole[-1][1]["skipped"]] == [2, 9, 13]
    for at in (2, 4, 7):
        cursor = json.loads(json.dumps(whole[at - 1][1]))
        again = walk(make(records, max_corrupt=3, last_batch=form), 3, cursor)
        assert again == whole[at:]


def test_fault_18_a_killed_worker_is_an_error_and_no_hang(make):
    loader = make(Rows(deadly=9), workers=2, shuffle=False)
    began, handed_out = time.monotonic(), [(None, loader.start())]
    with pytest.raises(WorkerError, match=r"died before batch [012] of epoch 0"):
        handed_out.extend(loader.batches())
    assert time.monotonic() - began < 60
    assert len(handed_out) <= 3, "record 9 is in the third batch"
    healthy = make(Rows(), workers=1, shuffle=False)
    cursor = handed_out[-1][1]
    expected = stream(by_arrays(shuffle=False), 1)[len(handed_out) - 1 :]
    assert stream(healthy, 1, cursor) == expected
    assert cursor["batch"] == len(handed_out) - 1


def test_ctrl_c_does_not_reach_the_workers(make):
    loader = make(workers=2)
    batches = iter(loader)
    next(batches)
    workers = multiprocessing.active_children()
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(batches)) == 5
    assert all(worker.is_alive() for worker in workers), "they wait"
    loader.close()
    assert not multiprocessing.active_children()


SCRIPT = """
import multiprocessing, os, signal, sys
from jaxtrain.data import GrainLoader

class Rows(list):
    def fingerprint(self):
        return ""

if __name__ == "__main__":
    loader = GrainLoader(Rows({"x": float(i)} for i in range(40)), batch_size=4, workers=2)
    held = loader.batches() if "hold" in sys.argv else iter(loader)
    next(held)
    if "hold" not in sys.argv:
        held.close()
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    if "die" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a zombie is dead, whether or not somebody asks for its exit code


@pytest.mark.parametrize("how", ["leave", "hold"])
def test_a_script_may_end_without_closing(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, how], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_the_workers_of_a_killed_process_end(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, "die"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, **compiling.READS},
    )
    assert done.returncode == -signal.SIGKILL
    workers = [int(word) for word in done.stdout.split()]
    assert len(workers) == 2
    until = time.monotonic() + 60
    while any(map(lives, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(lives, workers))


def test_an_iteration_that_hangs_keeps_nobody_else_waiting(make):
    class Slow(Rows):
        def __getitem__(self, index):
            if index == 5 and not reached.is_set():
                reached.set()
                assert go_on.wait(30)
            return super().__getitem__(index)

    reached, go_on = threading.Event(), threading.Event()
    loader = make(Slow(), shuffle=False, ahead=1)
    expected = stream(by_arrays(shuffle=False), 1)
    got = []
    thread = threading.Thread(target=lambda: got.extend(loader))
    thread.start()
    assert reached.wait(30)
    while not got:
        time.sleep(0.01)
    cursor = loader.cursor_at(0, 1)
    assert stream(loader, 1, cursor) == expected[1:]
    assert len(got) == 1
    go_on.set()
    thread.join(30)
    assert [plain(batch) for batch in got] == expected


def workers_of(batches):
    """The next batch, and the workers that were started for it."""
    before = set(multiprocessing.active_children())
    batch, cursor = next(batches)
    return plain(batch), cursor, set(multiprocessing.active_children()) - before


def test_workers_wait_for_whoever_goes_on(make):
    loader, expected = make(workers=1), stream(by_arrays(), 1)
    first = loader.batches()
    batch, cursor, started = workers_of(first)
    assert len(started) == 1
    first.close()
    again = loader.batches(cursor)
    batch, cursor, more = workers_of(again)
    assert (batch, more) == (expected[1], set())
    again.close()
    # From another place others start, and those that waited are gone.
    batch, cursor, more = workers_of(loader.batches())
    assert batch == expected[0]
    assert len(more) == 1
    assert not any(worker.is_alive() for worker in started)


@pytest.mark.parametrize("shuffle", [False, True])
def test_workers_of_an_evaluation_wait_for_the_next_one(make, shuffle):
    loader = make(workers=1, shuffle=shuffle)
    one = stream(loader, 1)
    before = set(multiprocessing.active_children())
    assert stream(loader, 1) == one == stream(by_arrays(shuffle=shuffle), 1)
    after = set(multiprocessing.active_children())
    assert (before == after) == (not shuffle), "behind epoch 0 stands epoch 1"


def test_only_the_last_ones_wait(make):
    loader = make(workers=1)
    one, other = loader.batches(), loader.batches()
    *_, mine = workers_of(one)
    *_, theirs = workers_of(other)
    assert mine
    assert theirs
    one.close()
    other.close()
    assert not any(worker.is_alive() for worker in mine)
    assert all(worker.is_alive() for worker in theirs)


def test_workers_end_with_a_loader_that_is_dropped():
    loader = GrainLoader(Rows(), batch_size=4, workers=1)
    *_, waiting = workers_of(loader.batches())
    gc.collect()
    assert all(worker.is_alive() for worker in waiting)
    batches = loader.batches()
    *_, reading = workers_of(batches)
    del loader
    gc.collect()
    assert all(worker.is_alive() for worker in reading), "their iteration goes on"
    del batches
    gc.collect()
    assert not any(worker.is_alive() for worker in reading | waiting)


def test_what_was_broken_off_is_not_gone_on_with(make, monkeypatch):
    loader, expected = make(shuffle=False), stream(by_arrays(shuffle=False), 1)
    batches = loader.batches()
    _, cursor = next(batches)

    def interrupted(self, name):
        """Ctrl-C when Grain has handed the batch out and nobody has counted it yet."""
        read(self, name)
        self.number -= 1
        raise KeyboardInterrupt

    read = Stream.read
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    assert stream(loader, 1, cursor) == expected[1:]


def test_a_saved_place_wants_as_many_corrupt_records_allowed(make):
    _, cursor = walk(make(Rows(bad=[1, 2]), max_corrupt=2), 1)[-1]
    with pytest.raises(CheckpointMismatchError, match=r"2 records were left out .* 1 may be"):
        make(Rows(bad=[1, 2, 3]), max_corrupt=1).batches(cursor)


def test_a_cursor_keeps_what_was_left_out_when_it_was_given(make):
    loader = make(Rows(bad=[1, 21]), max_corrupt=2, shuffle=False)
    cursors = [cursor for _, cursor in walk(loader, 1)]
    assert [list(loader.skipped(cursor)) for cursor in cursors] == [[1]] * 5 + [[1, 21]]
    assert loader.skipped(loader.start()) == {}


@pytest.mark.parametrize(
    ("options", "masked"),
    [({}, True), ({"last_batch": "drop"}, False), ({"last_batch": "drop", "max_corrupt": 1}, True)],
)
def test_where_rows_can_be_left_out_there_is_a_mask(make, options, masked):
    loader = make(**options)
    assert loader.masked == masked
    for found in (next(iter(loader)), loader.example()):
        assert set(found) == {"x", ROW_MASK} if masked else {"x"}


def test_the_data_are_known_by_their_fingerprint(make):
    with pytest.raises(ConfigError, match="list has no fingerprint"):
        GrainLoader([{"x": 1.0}], batch_size=1)
    loader = make([{"x": 1.0}, {"x": 2.0}], batch_size=1, fingerprint="one")
    other = make([{"x": 1.0}, {"x": 2.0}], batch_size=1, fingerprint="two")
    with pytest.raises(CheckpointMismatchError, match="data=one"):
        other.batches(loader.start())
    with pytest.raises(CheckpointMismatchError, match="expected pairs"):
        loader.batches(loader.start() | {"skipped": [3]})


@pytest.mark.parametrize("option", [{"workers": -1}, {"ahead": 0}, {"max_corrupt": -1}])
def test_impossible_options(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        GrainLoader(Rows(), batch_size=4, **option)


@pytest.mark.parametrize("records", [[], [{ROW_MASK: 1.0}], [{}]])
def test_impossible_records(records):
    with pytest.raises(DataError, match="expected"):
        GrainLoader(records, batch_size=1, fingerprint="")


def test_without_grain_a_loader_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"install jaxtrain\[grain\]"):
        GrainLoader(Rows(), batch_size=4)
