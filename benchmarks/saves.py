"""`python -m benchmarks saves`: what a checkpoint costs the training, here and with plain orbax.

    python -m benchmarks saves
    python -m benchmarks saves --millions 10 --rounds 9 --directory /scratch
    python -m benchmarks saves --millions "" --frozen 10      # a frozen base alone

A training of Adam steps is saved once a round, and goes on until the checkpoint is on the disk.
Two figures come of it, in seconds, each the median of the rounds:

    blocked   how long the call that saves keeps the next step waiting
    lost      how much longer all steps took, save included, than as many steps without one: with
              what the writing in the background takes from them

"Plain orbax" is a `CheckpointManager` with `StandardSave`. It neither syncs nor digests what it
writes; what that costs jaxtrain is listed apart, as shares of a synchronous save.

A small adapter over a frozen base is measured, too: what a save writes and how long it takes, the
base inside every checkpoint, and the base shared by all of them. What is not measured in a run of
this keeps its place in the file of results.
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
from jaxtrain.checkpoint import CheckpointStore, named_leaves
from jaxtrain.checkpoint.arrays import write_arrays
from jaxtrain.checkpoint.leaves import to_host
from jaxtrain.files import replacing, sync

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
    parser.add_argument("--frozen", default="10", help="parameters of a base, in millions each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", help="the disk to save to; by default that of /tmp")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    record: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    facts = {
        "machine": machine_facts(["jaxtrain", "jax", "jaxlib", "orbax-checkpoint", "numpy"]),
        "device": jax.devices()[0].device_kind,
        "rounds": options.rounds,
    }
    for section, figures in (("parameters", measure), ("frozen", measure_frozen)):
        sizes = {"parameters": options.millions, "frozen": options.frozen}[section]
        measured = {}
        for millions in map(int, filter(None, sizes.split(","))):
            directory = Path(tempfile.mkdtemp(dir=options.directory))
            try:
                measured[f"{millions}M"] = figures(millions, options.rounds, directory)
            finally:
                shutil.rmtree(directory)
            # Written size by size: what was measured stays when it is stopped.
            if section == "parameters":
                record |= {**facts, section: dict(measured)}
            else:
                record[section] = {**facts, "base": dict(measured)}
            with replacing(options.out) as temporary:
                temporary.write_text(json.dumps(record, indent=1) + "\n")
            print(f"written: {options.out}", flush=True)


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


def measure_frozen(millions: int, rounds: int, directory: Path) -> dict[str, Any]:
    """Bytes and seconds of a save of an adapter of 16 numbers over a base, each way."""
    width = millions * 10**6 // LAYERS
    keys = jax.random.split(jax.random.key(0), LAYERS)
    base = {f"layer_{i}": jax.random.normal(k, (width // 1000, 1000)) for i, k in enumerate(keys)}
    jax.block_until_ready(base)
    result: dict[str, Any] = {"base_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(base))}
    print(f"an adapter of 64 bytes over {millions} M parameters")
    for name, shared in {"inside": (), "shared": ("frozen",)}.items():
        store = CheckpointStore(directory / name, keep=rounds + 1)
        saves: dict[str, list[float]] = {"bytes": [], "blocked_seconds": [], "done_seconds": []}
        there = 0
        for number in range(rounds + 1):
            tree = {"params": jnp.full(16, float(number)), "frozen": base}
            began = time.perf_counter()
            store.save(tree, iteration=number, meta={}, shared=shared)
            saves["blocked_seconds"].append(time.perf_counter() - began)
            store.wait()
            saves["done_seconds"].append(time.perf_counter() - began)
            files = [path for path in store.directory.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files)
            saves["bytes"].append(size - there)
            there = size
        store.close()
        result[name] = {
            "first": {what: values[0] for what, values in saves.items()},
            "later": {what: statistics.median(values[1:]) for what, values in saves.items()},
            "rounds": saves,
        }
        later = result[name]["later"]
        print(
            f"  base {name}: {later['bytes']:12,.0f} bytes a save (the first "
            f"{saves['bytes'][0]:,}), blocked {later['blocked_seconds']:.4f} s, done after "
            f"{later['done_seconds']:.4f} s"
        )
    return result


def phases(state: Any, rounds: int, directory: Path) -> dict[str, float]:
    """Seconds of each part of a synchronous save, the median of the rounds."""
    times: dict[str, list[float]] = {"copy": [], "write": [], "digest": [], "sync": []}
    for number in range(rounds):
        place = directory / str(number)
        place.mkdir(parents=True)
        clock = [time.perf_counter()]
        arrays = to_host(named_leaves(state))
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
