"""One process of several that save or load a state on a mesh; `benchmarks/restore.py` starts them.

    python -m benchmarks.on_mesh '{"port": 4711, "number": 0, "count": 2, "mesh": {"fsdp": 8},
                                   "megabytes": 64, "save": DIRECTORY, "load": [DIRECTORY]}'

The state is a list of matrices of 16 MB whose numbers follow from where they stand, so that each
process can tell whether it was given the right ones.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.parallel import make_mesh, meet

SIDE = 2048


def main(said: str) -> None:
    asked = json.loads(said)
    if asked["count"] > 1:
        address = f"127.0.0.1:{asked['port']}"
        jax.distributed.initialize(address, asked["count"], asked["number"])
    shardings = layout(asked["mesh"], asked["megabytes"])
    found: dict[str, Any] = {"loads": {}}
    warm(Path(asked["warm"]), shardings)
    if directory := asked.get("save"):
        found["save"] = save(Path(directory), shardings)
    for directory in asked["load"]:
        found["loads"][directory] = load(Path(directory), shardings)
    print(json.dumps(found), flush=True)
    if asked["count"] > 1:
        jax.distributed.shutdown()


def layout(sizes: dict[str, int], megabytes: int) -> dict[str, NamedSharding]:
    """Where each matrix lies: rows over fsdp and columns over tensor, or the other way round."""
    count = math.prod(sizes.values())
    mesh = make_mesh(**{"data": 1, **sizes}, devices=jax.devices()[:count])
    ways = [PartitionSpec("fsdp", "tensor"), PartitionSpec("tensor", "fsdp")]
    matrices = megabytes * 10**6 // (4 * SIDE * SIDE) or 1
    return {f"matrix_{n}": NamedSharding(mesh, ways[n % 2]) for n in range(matrices)}


def values(name: str, index: tuple[slice, ...]) -> np.ndarray:
    """A part of a matrix."""
    rows = np.arange(SIDE, dtype=np.float32)[index[0], None] * SIDE
    return rows + np.arange(SIDE, dtype=np.float32)[None, index[1]] + int(name.split("_")[1])


def save(directory: Path, shardings: dict[str, NamedSharding]) -> dict[str, Any]:
    """Seconds that the caller was blocked, and until all was there; bytes of memory at most."""
    state = {
        name: jax.make_array_from_callback((SIDE, SIDE), where, lambda i, n=name: values(n, i))
        for name, where in shardings.items()
    }
    store = CheckpointStore(directory)
    blocked = []

    def action() -> None:
        began = time.perf_counter()
        store.save(state, iteration=1, meta={})
        blocked.append(time.perf_counter() - began)
        store.wait()

    seconds, peak = measured(action)
    store.close()
    held = sum(s.data.nbytes for leaf in state.values() for s in leaf.addressable_shards)
    size = sum(leaf.nbytes for leaf in state.values())
    return {
        "blocked_seconds": blocked[0],
        "seconds": seconds,
        "peak_bytes": peak,
        "held_bytes": held,
        "state_bytes": size,
    }


def load(directory: Path, shardings: dict[str, NamedSharding]) -> dict[str, Any]:
    """Seconds to find, verify and read it; bytes of memory at most; whether all is as it was."""
    template = {
        name: jax.ShapeDtypeStruct((SIDE, SIDE), np.float32, sharding=where)
        for name, where in shardings.items()
    }
    store = CheckpointStore(directory)
    kept: dict[str, Any] = {}

    def action() -> None:
        saved = store.latest()
        assert saved is not None
        kept.update(store.load(saved, template)[0])

    seconds, peak = measured(action)
    store.close()
    equal = all(
        leaf.sharding == shardings[name]
        and np.asarray(shard.data).tobytes() == values(name, shard.index).tobytes()
        for name, leaf in kept.items()
        for shard in leaf.addressable_shards
    )
    held = sum(s.data.nbytes for leaf in kept.values() for s in leaf.addressable_shards)
    return {"seconds": seconds, "peak_bytes": peak, "held_bytes": held, "equal": equal}


def warm(directory: Path, shardings: dict[str, NamedSharding]) -> None:
    """Libraries are read and threads started with the first save and load of a process."""
    one = dict(list(shardings.items())[:1])
    save(directory, one)
    load(directory, one)


def measured(action: Callable[[], None]) -> tuple[float, int]:
    """Seconds, and the highest resident size above that before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    meet("measured")
    began = time.perf_counter()
    action()
    return time.perf_counter() - began, resident("VmHWM") - before


def resident(field: str) -> int:
    """VmRSS, or VmHWM for the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
