"""`python -m benchmarks saves`: what a checkpoint costs the training, here and with plain orbax.

    python -m benchmarks saves
    python -m benchmarks saves --millions 10 --rounds 9 --directory /scratch

A training of Adam steps is saved once a round, and goes on until the checkpoint is on the disk.
Two figures come of it, in seconds, each the median of the rounds:

    blocked   how long the call that saves keeps the next step waiting
    lost      how much longer all steps took, save included, than as many steps without one: with
              what the writing in the background takes from them

"Plain orbax" is a `CheckpointManager` with `StandardSave`. It neither syncs nor digests what it
writes; what that costs jaxtrain is listed apart, as shares of a synchronous save.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax

from benchmarks.machine import machine_facts
from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.checkpoint.arrays import write_arrays
from jaxtrain.checkpoint.leaves import to_host
from jaxtrain.files.atomic import sync

RESULTS = Path(__file__).with_name("results") / "saves.json"
LAYERS = 12


class Saver(Protocol):
    """Saves a state, perhaps in the background."""

    wait: Callable[[], None]
    close: Callable[[], None]

    def save(self, state: Any, step: int) -> None:
        """Begin to save, as the checkpoint of a step."""


class Ours:
    """jaxtrain's CheckpointStore."""

    def __init__(self, directory: Path, *, asynchronous: bool) -> None:
        self._store = CheckpointStore(directory, keep=1, asynchronous=asynchronous)
        self.wait, self.close = self._store.wait, self._store.close

    def save(self, state: Any, step: int) -> None:
        """Nothing besides the arrays is saved."""
        self._store.save(state, iteration=step, meta={})


class Orbax:
    """A CheckpointManager as its documentation has it."""

    def __init__(self, directory: Path, *, asynchronous: bool) -> None:
        import orbax.checkpoint as ocp

        self._args = ocp.args
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(1),
            enable_async_checkpointing=asynchronous,
        )
        self._manager = ocp.CheckpointManager(directory, options=options)
        self.wait, self.close = self._manager.wait_until_finished, self._manager.close

    def save(self, state: Any, step: int) -> None:
        """Likewise."""
        self._manager.save(step, args=self._args.StandardSave(state))


SAVERS: dict[str, Callable[[Path], Saver]] = {
    "jaxtrain, asynchronous": lambda path: Ours(path, asynchronous=True),
    "jaxtrain, synchronous": lambda path: Ours(path, asynchronous=False),
    "orbax, asynchronous": lambda path: Orbax(path, asynchronous=True),
    "orbax, synchronous": lambda path: Orbax(path, asynchronous=False),
}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks saves")
    parser.add_argument("--millions", default="10,100", help="parameters, in millions each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", help="the disk to save to; by default that of /tmp")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    record: dict[str, Any] = {
        "machine": machine_facts(["jaxtrain", "jax", "jaxlib", "orbax-checkpoint", "numpy"]),
        "device": jax.devices()[0].device_kind,
        "rounds": options.rounds,
        "parameters": {},
    }
    for millions in map(int, options.millions.split(",")):
        directory = Path(tempfile.mkdtemp(dir=options.directory))
        try:
            record["parameters"][f"{millions}M"] = measure(millions, options.rounds, directory)
        finally:
            shutil.rmtree(directory)
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written: {options.out}")


def measure(millions: int, rounds: int, directory: Path) -> dict[str, Any]:
    """All figures for one size, and their table on the screen."""
    step, state = training(millions)
    state = step(state)
    jax.block_until_ready(state)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    savers = {name: make(directory / name) for name, make in SAVERS.items()}
    blocked: dict[str, list[float]] = {name: [] for name in SAVERS}
    lost: dict[str, list[float]] = {name: [] for name in SAVERS}
    alone: list[float] = []
    for number in range(rounds + 1):  # the first one warms up
        for name, saver in savers.items():
            state, waited, gone, each = one_save(step, state, saver, number)
            if number:
                blocked[name].append(waited)
                lost[name].append(gone)
                alone.append(each)
    for saver in savers.values():
        saver.close()
    result = {
        "state_bytes": size,
        "step_seconds": statistics.median(alone),
        "savers": {
            name: {
                "blocked_seconds": statistics.median(blocked[name]),
                "lost_seconds": statistics.median(lost[name]),
                "rounds": {"blocked": blocked[name], "lost": lost[name]},
            }
            for name in SAVERS
        },
        "phases": phases(state, rounds, directory / "phases"),
    }
    print(f"{millions} M parameters, {size / 1e9:.2f} GB of state, step {min(alone):.3f} s")
    for name, figures in result["savers"].items():
        print(
            f"  {name:24} blocked {figures['blocked_seconds']:7.3f} s   "
            f"lost {figures['lost_seconds']:7.3f} s"
        )
    whole = sum(result["phases"].values())
    shares = ", ".join(f"{n} {s:.3f} s ({s / whole:.0%})" for n, s in result["phases"].items())
    print(f"  a synchronous save: {shares}")
    return result


def training(millions: int) -> tuple[Callable[[Any], Any], Any]:
    """An Adam step that uses up its state, and the state: parameters and two moments each."""
    width = millions * 10**6 // LAYERS
    tx = optax.adam(1e-3)
    # Random numbers, since what is written gets compressed.
    keys = jax.random.split(jax.random.key(0), LAYERS)
    params = {f"layer_{i}": jax.random.normal(k, (width // 1000, 1000)) for i, k in enumerate(keys)}

    def step(state: Any) -> Any:
        params, opt_state = state["params"], state["opt_state"]
        gradients = jax.tree.map(jnp.sin, params)
        updates, opt_state = tx.update(gradients, opt_state, params)
        return {"params": optax.apply_updates(params, updates), "opt_state": opt_state}

    return jax.jit(step, donate_argnums=0), {"params": params, "opt_state": tx.init(params)}


def one_save(
    step: Callable[[Any], Any], state: Any, saver: Saver, number: int
) -> tuple[Any, float, float, float]:
    """Steps without a save, then as many with one.

    Returns:
        The state, seconds blocked, seconds lost, seconds a step takes alone.
    """
    steps, began = 0, time.perf_counter()
    while steps < 3 or time.perf_counter() - began < 0.5:
        state = jax.block_until_ready(step(state))
        steps += 1
    each = (time.perf_counter() - began) / steps

    done = threading.Event()
    began = time.perf_counter()
    saver.save(state, number)
    blocked = time.perf_counter() - began
    waiter = threading.Thread(target=lambda: (saver.wait(), done.set()))
    waiter.start()
    steps = 0
    while not done.is_set() or not steps:
        state = jax.block_until_ready(step(state))
        steps += 1
    waiter.join()
    return state, blocked, time.perf_counter() - began - steps * each, each


def phases(state: Any, rounds: int, directory: Path) -> dict[str, float]:
    """Seconds of each part of a synchronous save, the median of the rounds."""
    times: dict[str, list[float]] = {"copy": [], "write": [], "digest": [], "sync": []}
    for number in range(rounds):
        place = directory / str(number)
        place.mkdir(parents=True)
        clock = [time.perf_counter()]
        arrays = to_host(state)
        clock.append(time.perf_counter())
        write_arrays(place / "arrays", arrays)
        clock.append(time.perf_counter())
        files = [path for path in place.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(digest, files))
        clock.append(time.perf_counter())
        for path in place.rglob("*"):
            sync(path)
        clock.append(time.perf_counter())
        shutil.rmtree(place)
        for name, start, end in zip(times, clock, clock[1:], strict=False):
            times[name].append(end - start)
    return {name: statistics.median(values) for name, values in times.items()}


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
