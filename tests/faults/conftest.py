"""Spawning, killing and comparing whole runs of the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import compiling

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("small.yaml")


class Process:
    """One forked run."""

    def __init__(self, spawner: Spawner, pid: int, log: Path) -> None:
        self._spawner, self.pid, self.log = spawner, pid, log
        self.peak = 0  # bytes of memory, once it has ended

    def wait(self, seconds: float = 120) -> int:
        """The exit code, that of a signal negative; killed where it takes longer than that."""
        answer = self._spawner.ask({"wait": self.pid, "seconds": seconds})
        status, self.peak = answer["status"], answer.get("peak", 0)
        assert status is not None, f"still running after {seconds} s:\n{self.said}"
        return status

    def kill(self, number: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stop(self, held: Path, number: int = signal.SIGTERM) -> None:
        """A signal to a process that is held at a file; it goes on when the signal has come."""
        self.kill(number)
        deadline = time.monotonic() + 60
        while "stopping at the next safe place" not in self.said:
            assert time.monotonic() < deadline, f"the signal never came:\n{self.said}"
            time.sleep(0.002)
        held.unlink()

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


class Spawner:
    """The process that forks them.

    Args:
        python: the interpreter, and with it the libraries.
        cache: a directory for what these compile, in the place of this process's.
    """

    def __init__(self, python: str = sys.executable, cache: Path | None = None) -> None:
        # Nine tenths of such a short run would be compiling, each time the same.
        own = compiling.kept_in(cache) if cache else {}
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), **own, **compiling.READS}
        self.environment |= compiling.FULLY
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("spawner.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )

    def ask(self, request: dict) -> dict:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(
        self,
        argv: list[str],
        log: Path,
        inject: list | None = None,
        streams: list[str] | None = None,
        *,
        to_its_end: bool = False,
    ) -> Process:
        """Fork one; `to_its_end`: it is left alone, so that it may keep what it compiles."""
        request = {"argv": [str(word) for word in argv], "inject": inject or [], "log": str(log)}
        request["streams"] = streams and [str(path) for path in streams]
        request["to_its_end"] = to_its_end
        return Process(self, self.ask(request)["pid"], log)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@dataclasses.dataclass
class Runs:
    """Runs of the small config below one directory."""

    spawner: Spawner
    root: Path

    def words(self, workdir: Path, **changes: str) -> list[str]:
        options = [f"--config.{key.replace('__', '.')}={value}" for key, value in changes.items()]
        return ["train", "--config", str(CONFIG), "--workdir", str(workdir), *options]

    def start(self, name: str, inject: list | None = None, **changes: str) -> Process:
        workdir = self.root / name
        return self.spawner.start(self.words(workdir, **changes), self.log(name), inject)

    def run(self, name: str, inject: list | None = None, **changes: str) -> int:
        words, log = self.words(self.root / name, **changes), self.log(name)
        return self.spawner.start(words, log, inject, to_its_end=not inject).wait()

    def command(self, *words: str, inject: list | None = None) -> tuple[int, str]:
        """Any command: its exit code and what it said."""
        log = self.root / f"command{len(list(self.root.glob('command*')))}.log"
        code = self.spawner.start(list(words), log, inject, to_its_end=not inject).wait()
        return code, log.read_text()

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text()

    def checkpoints(self, name: str) -> list[str]:
        found = (self.root / name).glob("checkpoints/[0-9]*")
        return sorted(path.name for path in found if not path.is_symlink())

    def outcome(self, name: str) -> dict:
        """All that two equal runs must agree in, to the byte."""
        from jaxtrain.checkpoint.arrays import read_arrays

        workdir = self.root / name
        newest = workdir / "checkpoints" / self.checkpoints(name)[-1]
        meta = json.loads((newest / "meta.json").read_text())
        figures = json.loads((workdir / "metrics.json").read_text())
        del figures["training_time_seconds"]
        arrays = read_arrays(newest / "arrays")
        return {
            "arrays": {name: np.asarray(array).tobytes() for name, array in arrays.items()},
            "cursor": meta["engine"]["cursor"],
            "counters": meta["engine"]["counters"],
            "rows": (workdir / "metrics.jsonl").read_text(),
            "table": (workdir / "metrics.csv").read_text(),
            "figures": figures,
            "media": (workdir / "media.jsonl").read_text(),
        }

    def assert_equal(self, name: str, expected: dict) -> None:
        """=U of the specification; names what differs."""
        for part, value in self.outcome(name).items():
            if part == "arrays":
                assert value.keys() == expected[part].keys()
                assert not [name for name in value if value[name] != expected[part][name]]
            else:
                assert value == expected[part], part

    def finish(self, name: str, expected: dict, **changes: str) -> None:
        """The same command again, to its end, and to the same bytes."""
        assert self.run(name, **changes) == 0, self.said(name)
        self.assert_equal(name, expected)

    @staticmethod
    def wait_for(path: Path, seconds: float = 60) -> None:
        """Until there is such a file."""
        deadline = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < deadline, f"{path} never came"
            time.sleep(0.002)


@pytest.fixture(scope="session")
def spawner():
    made = Spawner()
    yield made
    made.close()


@pytest.fixture(scope="session")
def other_spawner(tmp_path_factory):
    """Of another pair of libraries, that of the Python that JAXTRAIN_OTHER_PYTHON names."""
    python = os.environ.get("JAXTRAIN_OTHER_PYTHON")
    if not python:
        pytest.skip("JAXTRAIN_OTHER_PYTHON names no Python with another version of JAX")
    made = Spawner(python, tmp_path_factory.mktemp("other_cache"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def make_runs(spawner):
    return lambda root, of=spawner: Runs(of, root)


@pytest.fixture
def runs(make_runs, tmp_path):
    return make_runs(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(make_runs, tmp_path_factory):
    """undisturbed(**changes): what such a run comes to that nobody disturbs, made once each."""
    known: dict[str, dict] = {}

    def make(**changes: str) -> dict:
        key = json.dumps(changes, sort_keys=True)
        if key not in known:
            runs = make_runs(tmp_path_factory.mktemp("whole"))
            assert runs.run("run", **changes) == 0, runs.said("run")
            known[key] = runs.outcome("run")
        return known[key]

    return make


@pytest.fixture
def whole(undisturbed):
    """What the small run comes to that nobody disturbs: what every other must come to."""
    return undisturbed()
