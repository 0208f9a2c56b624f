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

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, GrainLoader, Loader
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError, WorkerError

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
    """Makes loaders, and ends their workers after the test."""

    def make(records=None, **options):
        loader = GrainLoader(records or Rows(), **{"batch_size": 4, **options})
        request.addfinalizer(loader.close)
        return loader

    return make


def stream(loader, epochs=2):
    return [{k: v.tolist() for k, v in batch.items()} for _ in range(epochs) for batch in loader]


def by_arrays(**options):
    x = np.repeat(np.arange(22, dtype=np.float32)[:, None], 2, 1)
    return ArrayLoader({"x": x}, **{"batch_size": 4, **options})


@pytest.mark.parametrize(
    "options", [{}, {"last_batch": "drop"}, {"shuffle": False}, {"seed": 3, "batch_size": 11}]
)
def test_its_batches_are_those_of_an_array_loader(make, options):
    loader = make(**options)
    assert isinstance(loader, Loader)
    assert stream(loader, 3) == stream(by_arrays(**options), 3)


def test_workers_change_nothing(make):
    expected = stream(by_arrays())
    for workers in (1, 2):
        assert stream(make(workers=workers)) == expected


def test_a_place_is_found_again_with_another_number_of_workers(make):
    loader, expected = make(workers=2), stream(by_arrays(), 3)
    batches = [batch for _, batch in zip(range(4), loader, strict=False)]
    assert len(batches) == 4
    cursor = json.loads(json.dumps(loader.cursor()))
    again = make(workers=0, ahead=1)
    again.restore(cursor)
    assert stream(again, 3) == expected[4:]


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
        for batch in [*loader, *loader]:
            real = batch["mask"] > 0
            assert batch["x"].shape == (4, 2)
            assert np.isfinite(batch["x"]).all()
            seen.extend(batch["x"][real][:, 0].tolist())
    assert sorted(seen) == sorted(2 * [i for i in range(22) if i not in (0, 9, 13)])
    assert set(loader.skipped) == {0, 9, 13}
    assert "3 of at most 3" in caplog.text
    assert len(caplog.records) == 3, "each is told once"


def test_fault_17_one_more_than_allowed_is_an_error(make):
    loader = make(Rows(bad=[3, 9, 13]), max_corrupt=2, shuffle=False)
    with pytest.raises(DataError, match=r"record 13 .*; left out before: records 3, 9"):
        stream(loader)
    assert set(loader.skipped) == {3, 9}


def step(state, batch):
    weighted = (batch["x"].sum(1) * batch["mask"]).sum()
    return state * 0.9 + weighted, {"loss": weighted}


@pytest.mark.parametrize("form", ["single", "fused"])
def test_fault_17_a_run_that_skips_goes_on_to_the_same_state(make, form):
    def run(loader, **restored):
        engine = Engine(step, jnp.float32(1), form=form)
        taken = []
        for at in (2, 4, 7):
            engine.attach_handler(
                Events.ITERATION_COMPLETED(once=at),
                lambda e: taken.append(jax.device_get(e.snapshot())),
            )
        if restored:
            engine.restore(*restored["snapshot"])
            loader.restore(restored["cursor"])
        cursors = []
        engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: cursors.append(e.cursor()))
        engine.run(loader, max_epochs=2)
        return float(engine.state.train_state), loader.cursor(), taken, cursors

    records = Rows(bad=[2, 9, 13])
    state, end, taken, cursors = run(make(records, max_corrupt=3))
    assert [i for i, _ in end["skipped"]] == [2, 9, 13]
    for snapshot, at in zip(taken, (2, 4, 7), strict=True):
        again = run(make(records, max_corrupt=3), snapshot=snapshot, cursor=cursors[at - 1])
        assert again[:2] == (state, end)


def test_fault_18_a_killed_worker_is_an_error_and_no_hang(make):
    loader = make(Rows(deadly=9), workers=2, shuffle=False)
    began, handed_out = time.monotonic(), []
    with pytest.raises(WorkerError, match="a worker that reads data died before batch"):
        handed_out.extend(loader)
    assert time.monotonic() - began < 60
    cursor = loader.cursor()
    assert cursor["batch"] == len(handed_out)
    healthy = make(Rows(), workers=1, shuffle=False)
    healthy.restore(cursor)
    assert stream(healthy, 1) == stream(by_arrays(shuffle=False), 1)[len(handed_out) :]


def test_ctrl_c_does_not_reach_the_workers(make):
    loader = make(workers=2)
    batches = iter(loader)
    next(batches)
    workers = multiprocessing.active_children()
    for worker in workers:
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(batches)) == 5
    assert all(worker.is_alive() for worker in workers)
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
    held = next(iter(loader))
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


def test_a_script_may_end_without_closing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_the_workers_of_a_killed_process_end(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, "die"], stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    workers = [int(word) for word in done.stdout.split()]
    assert len(workers) == 2
    until = time.monotonic() + 60
    while any(map(lives, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(lives, workers))


def test_an_iteration_that_was_given_up_takes_nothing(make):
    class Slow(Rows):
        def __getitem__(self, index):
            if index == 5 and not reached.is_set():
                reached.set()
                assert go_on.wait(30)
            return super().__getitem__(index)

    reached, go_on = threading.Event(), threading.Event()
    loader = make(Slow(), shuffle=False, ahead=1)
    got = []
    thread = threading.Thread(target=lambda: got.extend(loader))
    thread.start()
    assert reached.wait(30)
    while not got:
        time.sleep(0.01)
    place = loader.cursor()
    assert place["batch"] == 1
    loader.restore(place)
    go_on.set()
    thread.join(30)
    assert len(got) == 1
    assert loader.cursor() == place
    assert stream(loader, 1) == stream(by_arrays(shuffle=False), 1)[1:]


def test_a_saved_place_wants_as_many_corrupt_records_allowed(make):
    loader = make(Rows(bad=[1, 2]), max_corrupt=2)
    list(loader)
    with pytest.raises(CheckpointMismatchError, match=r"2 records were left out .* 1 may be"):
        make(Rows(bad=[1, 2, 3]), max_corrupt=1).restore(loader.cursor())


@pytest.mark.parametrize("options", [{}, {"last_batch": "drop"}])
def test_the_shapes_are_those_of_the_batches(make, options):
    loader = make(**options)
    shapes = loader.batch_shapes()
    batch = next(iter(loader))
    assert {name: (s.shape, s.dtype) for name, s in shapes.items()} == {
        name: (array.shape, array.dtype) for name, array in batch.items()
    }


def test_the_data_are_known_by_their_fingerprint(make):
    with pytest.raises(ConfigError, match="list has no fingerprint"):
        GrainLoader([{"x": 1.0}], batch_size=1)
    loader = make([{"x": 1.0}, {"x": 2.0}], batch_size=1, fingerprint="one")
    other = make([{"x": 1.0}, {"x": 2.0}], batch_size=1, fingerprint="two")
    with pytest.raises(CheckpointMismatchError, match="data=one"):
        other.restore(loader.cursor())
    with pytest.raises(CheckpointMismatchError, match="expected pairs"):
        loader.restore(loader.cursor() | {"skipped": [3]})


@pytest.mark.parametrize("option", [{"workers": -1}, {"ahead": 0}, {"max_corrupt": -1}])
def test_impossible_options(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        GrainLoader(Rows(), batch_size=4, **option)


@pytest.mark.parametrize("records", [[], [{"mask": 1.0}], [{}]])
def test_impossible_records(records):
    with pytest.raises(DataError, match="expected"):
        GrainLoader(records, batch_size=1, fingerprint="")
