"""`python -m benchmarks hosts`: a run of two processes of which one is killed, or asked to stop.

    python -m benchmarks hosts
    python -m benchmarks hosts --kills 5 --stops 5

Two real processes over gloo on this machine, under `launch`. Each time one of them, in turn, gets a
SIGKILL at a moment of the training that is another each time:

    seconds   from the kill until both are gone, and the run begins again by itself
    equal     how often the end is that of a run that nobody disturbed: metrics.jsonl and each array
              of the last checkpoint, byte by byte

And as often one of them, or both, are asked to stop, in a step, in a validation or between two
epochs: how often all stood after the same iteration, with the same parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.machine import machine_facts
from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.checkpoint.arrays import read_arrays

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results") / "hosts.json"
EPOCHS = 6
WORDS = [
    *("--config", str(ROOT / "configs/digits.py"), f"--config.train.epochs={EPOCHS}"),
    *("--config.model.hidden=[16]", "--config.mesh.data=-1", "--config.checkpoint.every=20"),
    *("--config.hooks.tensorboard=null", "--config.hooks.progress=null"),
]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks hosts")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory:
        found = {
            "machine": machine_facts(["jaxtrain", "jax", "jaxlib"]),
            "kills": kills(Path(directory), options.kills),
            "stops": stops(Path(directory), options.stops),
        }
    print(json.dumps(found, indent=2))
    options.output.write_text(json.dumps(found, indent=2) + "\n")


def kills(directory: Path, count: int) -> dict[str, Any]:
    """Kill one of two, so often; the run begins again by itself, and ends."""
    environ = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(directory / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    undisturbed = directory / "undisturbed"
    process = launched(undisturbed, environ)
    if process.wait():
        raise RuntimeError(f"the undisturbed run ended with {process.returncode}")
    # What is killed while it writes there would leave half of an entry.
    environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1e9"
    seconds, equal = [], 0
    for number in range(count):
        workdir = directory / f"killed-{number}"
        chance = random.Random(number)
        process = launched(workdir, environ)
        wait_for_epoch(workdir, chance.randrange(1, EPOCHS - 2), process)
        time.sleep(chance.uniform(0, 0.2))
        victims = psutil.Process(process.pid).children()
        victims[number % 2].send_signal(signal.SIGKILL)
        began = time.monotonic()
        psutil.wait_procs(victims)
        seconds.append(time.monotonic() - began)
        code = process.wait()
        same = code == 0 and end_of(workdir) == end_of(undisturbed)
        equal += same
        print(f"kill {number}: {seconds[-1]:.2f} s, code {code}, equal: {same}", flush=True)
    return {
        "count": count,
        "seconds_median": round(statistics.median(seconds), 2),
        "seconds_longest": round(max(seconds), 2),
        "equal": equal,
    }


def stops(directory: Path, count: int) -> dict[str, Any]:
    """Ask one of two to stop, so often; see `tests/parallel/engine_run.py`."""
    sys.path.insert(0, str(ROOT))
    from tests.processes import end_together

    words = (directory / "stops", count)
    codes, said = end_together("tests/parallel/engine_run.py", 2, *words, seconds=60 + 10 * count)
    if any(codes):
        raise RuntimeError("\n".join(said))
    first, second = (json.loads((directory / f"stops.{n}.json").read_text()) for n in (0, 1))
    together = sum(a == b for a, b in zip(first, second, strict=True))
    in_validation = sum(iteration == 0 for *_, iteration, _ in first)
    return {"count": count, "together": together, "in_a_validation": in_validation}


def launched(workdir: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    words = ["launch", "--processes", "2", "--restarts", "1", "--", *WORDS]
    return subprocess.Popen(
        [sys.executable, "-m", "jaxtrain.main", *words, "--workdir", str(workdir)],
        env=environ,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_epoch(workdir: Path, epoch: int, process: subprocess.Popen[bytes]) -> None:
    log, wanted = workdir / "metrics.jsonl", f'"event": "epoch", "epoch": {epoch},'
    while not log.exists() or wanted not in log.read_text():
        if process.poll() is not None:
            raise RuntimeError(f"{workdir}: ended with {process.returncode} before epoch {epoch}")
        time.sleep(0.005)


def end_of(workdir: Path) -> tuple[bytes, dict[str, bytes]]:
    """The rows of a run, and the arrays of its last checkpoint."""
    store = CheckpointStore(workdir / "checkpoints")
    saved = store.latest()
    assert saved is not None
    arrays = read_arrays(saved.path / "arrays")
    found = {name: np.asarray(array).tobytes() for name, array in arrays.items()}
    return (workdir / "metrics.jsonl").read_bytes(), found
