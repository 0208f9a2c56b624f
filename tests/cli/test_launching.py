"""The one who watches several processes: what they get, how they end, whether they begin again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxtrain.cli import launching
from jaxtrain.cli.launching import Launched

ROOT = Path(__file__).parents[2]

# Whoever launches has no JAX, which warns of forks; the process of these tests may have it.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")

# Each says how it began in a file of its own; a stubborn one heeds no signal but the last.
CHILD = """
import os, signal, sys, time
number, count = os.environ["JAX_PROCESS_ID"], os.environ["JAX_NUM_PROCESSES"]
directory, way = sys.argv[1:]
name = f"{directory}/{len(os.listdir(directory)):02d}-{number}-of-{count}"
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in way else lambda *_: sys.exit(75))
open(name, "w").write("\\n".join(
    [os.environ.get("XLA_FLAGS", ""), os.environ["JAX_LOCAL_DEVICE_IDS"],
     os.environ["JAX_COORDINATOR_ADDRESS"], str(os.getpid()), str(os.getpgid(0))]))
print(f"out of {number}", flush=True)
print(f"err of {number}", file=sys.stderr, flush=True)
if way == "well":
    sys.exit(0)
if way == "fails" and number == "1":
    sys.exit(3)
if way == "fails alike":
    sys.exit(2)
if way == "stops":
    sys.exit(75)
if way == "crashes" and number == "1":
    sys.exit(1)
if way.startswith("dies") and number == "1":
    os.kill(os.getpid(), signal.SIGKILL)
if way == "dies unless alone" and count == "1":
    sys.exit(0)
time.sleep(60)
"""


@pytest.fixture
def launched(tmp_path, monkeypatch):
    monkeypatch.setattr(launching, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(launching, "TERM_SECONDS", 0.5)
    (tmp_path / "child.py").write_text(CHILD)
    there = tmp_path / "there"
    there.mkdir()

    def launched(way, processes=2, **options):
        return Launched([str(tmp_path / "child.py"), str(there), way], processes, **options)

    launched.there = there
    return launched


def begun(launched):
    return sorted(path.name[3:] for path in launched.there.iterdir())


def test_all_that_end_well_end_well(launched, capfd):
    assert launched("well", 3, devices_each=2).run() == 0
    files = sorted(launched.there.iterdir(), key=lambda path: path.name[3:])
    assert [path.name[3:] for path in files] == ["0-of-3", "1-of-3", "2-of-3"]
    said = [path.read_text().splitlines() for path in files]
    assert [lines[1] for lines in said] == ["0,1", "2,3", "4,5"]
    assert all("device_count=2" in lines[0] for lines in said)
    assert len({lines[2] for lines in said}) == 1
    out, err = capfd.readouterr()
    # The first one's is as it is; the others say who they are, on the standard error.
    assert out == "out of 0\n"
    lines = set(err.splitlines())
    assert {"err of 0", "[1] out of 1", "[1] err of 1", "[2] err of 2"} <= lines


def test_one_device_each_leaves_the_flags_alone(launched, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_mine=1")
    assert launched("well").run() == 0
    assert {path.read_text().splitlines()[0] for path in launched.there.iterdir()} == {
        "--xla_mine=1"
    }


@pytest.mark.parametrize("way", ["dies", "dies stubborn"])
def test_where_one_dies_all_end_and_the_same_command_goes_on(launched, capfd, way):
    began = time.monotonic()
    assert launched(way).run() == 75
    assert time.monotonic() - began < launching.LONGEST
    err = capfd.readouterr().err
    assert "process 1 was ended by SIGKILL" in err
    for path in launched.there.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text().splitlines()[3]), 0)


@pytest.mark.parametrize(("way", "code"), [("fails", 3), ("fails alike", 2)])
def test_what_would_come_again_is_no_reason_to_begin_again(launched, way, code):
    assert launched(way, restarts=2).run() == code
    assert begun(launched) == ["0-of-2", "1-of-2"]


def test_a_run_that_stops_by_itself_is_left_where_it_stands(launched):
    assert launched("stops", restarts=2).run() == 75
    assert begun(launched) == ["0-of-2", "1-of-2"]


def test_all_begin_again_as_often_as_they_may(launched, capfd):
    assert launched("dies", restarts=2).run() == 75
    assert begun(launched) == ["0-of-2"] * 3 + ["1-of-2"] * 3
    assert "starting again with 2 processes; 0 more times" in capfd.readouterr().err


def test_an_unforeseen_error_of_one_may_be_the_machine_s(launched):
    assert launched("crashes", restarts=1).run() == 75
    assert begun(launched) == ["0-of-2"] * 2 + ["1-of-2"] * 2


def test_they_begin_again_with_those_that_are_left(launched):
    assert launched("dies unless alone", 3, restarts=2, at_least=1).run() == 0
    assert begun(launched) == ["0-of-1", "0-of-2", "0-of-3", "1-of-2", "1-of-3", "2-of-3"]


def test_there_are_no_fewer_than_at_least(launched):
    assert launched("dies unless alone", 2, restarts=1, at_least=2).run() == 75
    assert begun(launched) == ["0-of-2"] * 2 + ["1-of-2"] * 2


# Below `nohup` a hangup is ignored, as it should be: here it is not.
WATCH = """
import signal, sys
from jaxtrain.cli import launching
signal.signal(signal.SIGHUP, signal.SIG_DFL)
launching.GRACE_SECONDS = 30
sys.exit(launching.Launched(sys.argv[1:], 2, restarts=1).run())
"""


@pytest.fixture
def watcher(launched, tmp_path):
    """A process that watches two, once both have begun; and their numbers."""
    processes = []

    def watcher(way):
        words = [sys.executable, "-c", WATCH, str(tmp_path / "child.py"), str(launched.there), way]
        process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        processes.append(process)
        while not all(_lines(launched.there, number) for number in (0, 1)):
            assert process.poll() is None
            time.sleep(0.01)
        return process, [int(_lines(launched.there, number)[3]) for number in (0, 1)]

    yield watcher
    for process in processes:
        process.kill()
        process.wait()


def _lines(directory, number):
    for path in directory.glob(f"*-{number}-of-2"):
        lines = path.read_text().splitlines()
        if len(lines) == 5:
            return lines
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_handed_on_and_they_do_not_begin_again(launched, watcher, number):
    process, _ = watcher("sleeps")
    process.send_signal(number)
    assert process.wait(timeout=60) == 75
    assert begun(launched) == ["0-of-2", "1-of-2"]


def test_the_second_signal_ends_them_at_once(watcher):
    process, children = watcher("stubborn")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not any(map(_lives, children))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has the means")
def test_they_die_with_the_one_who_watches(watcher):
    process, children = watcher("stubborn")
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while any(map(_lives, children)):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_each_is_in_a_group_of_its_own(launched, watcher):
    # Else a Ctrl-C would come to it twice, and the second one ends it at once.
    _, children = watcher("sleeps")
    groups = {int(_lines(launched.there, number)[4]) for number in (0, 1)}
    assert groups == set(children)


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
