"""`python -m benchmarks meshes`: the same run on eight devices, arranged in many ways.

    python -m benchmarks meshes
    python -m benchmarks meshes --steps 50 --devices 8

For each task and each mesh: the loss after so many steps beside that of one device, what the
devices say to each other in a step, by kind (how often, and MiB of whole arrays), and the bytes
that each holds of the TrainState and needs for a step besides, by XLA's account. Devices are
simulated on the CPU: times would say nothing, so there are none here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "meshes.json"
ROOT = Path(__file__).parents[1]
DECODER = ["data.length=64", "data.batch_size=16", "model.layers=3", "model.width=128"]
DECODER += ["model.heads=4", "model.max_length=64", "model.tied=false"]
TASKS = {
    "mlp": ["configs/digits.py"],
    "decoder": ["configs/char_lm.py", *DECODER],
    "adapter": ["configs/char_lm.py", *DECODER, "lora.rank=8"],
}
MESHES: dict[str, dict[str, int] | None] = {
    "one device": None,
    "data 8": {"data": 8},
    "fsdp 8": {"data": 1, "fsdp": 8},
    "data 2, fsdp 4": {"data": 2, "fsdp": 4},
    "data 4, tensor 2": {"data": 4, "tensor": 2},
    "data 2, fsdp 2, tensor 2": {"data": 2, "fsdp": 2, "tensor": 2},
}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks meshes")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:  # where there are so many devices
        print(json.dumps(measure(options.steps)))
        return
    flags = f"--xla_force_host_platform_device_count={options.devices}"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "meshes", "--inside", f"--steps={options.steps}"],
        env={**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout.splitlines()[-1])
    for row in rows:
        said = ", ".join(
            f"{one['count']} {kind} ({one['mebibytes']:.2f} MiB)"
            for kind, one in row["collectives"].items()
        )
        print(
            f"{row['task']:8} {row['mesh']:25} loss {row['loss']:.6f} "
            f"({row['difference']:+.1e})  {row['state_bytes'] / 2**20:6.2f} MiB of state, "
            f"{row['step_bytes'] / 2**20:6.2f} more in a step  {said}"
        )
    record = {
        "machine": machine_facts(["jaxtrain", "jax", "jaxlib"]),
        "steps": options.steps,
        "devices": options.devices,
        "rows": rows,
    }
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def measure(steps: int) -> list[dict[str, Any]]:
    """All rows, in this process."""
    rows = []
    for task, (config, *words) in TASKS.items():
        alone = None
        for mesh, sizes in MESHES.items():
            if sizes is not None and sizes.get("tensor", 1) > 1 and task == "mlp":
                continue  # refused: nothing of it would be divided
            row = {"task": task, "mesh": mesh, **row_of(config, words, sizes, steps)}
            alone = row["loss"] if alone is None else alone
            rows.append(row | {"difference": row["loss"] - alone})
    return rows


def row_of(
    config: str, words: Sequence[str], sizes: dict[str, int] | None, steps: int
) -> dict[str, Any]:
    """One run on one mesh."""
    import jax
    import numpy as np

    from jaxtrain.engine import Engine
    from jaxtrain.parallel import collectives_of
    from jaxtrain.run import RunData, Task, make_config

    on = [] if sizes is None else [f"mesh.{axis}={parts}" for axis, parts in sizes.items()]
    task = Task.of(RunData.of(make_config(ROOT / config, [*words, *on])))
    engine = Engine(task.train_step, task.initial_state(), form="single")
    compiled = engine.compiled(task.loader)
    found: dict[str, Counter[str]] = {}
    for one in collectives_of(compiled) if sizes is not None else ():
        each = found.setdefault(one.kind, Counter())
        each["count"] += one.count
        each["bytes"] += one.count * one.bytes
    state = engine.run(task.loader, max_iters=steps)
    held = [
        shard.data.nbytes
        for leaf in jax.tree.leaves(state.train_state)
        if not jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        for shard in leaf.addressable_shards
        if shard.device == jax.devices()[0]
    ]
    return {
        "loss": float(np.asarray(state.output["loss"])),
        "state_bytes": sum(held),
        "step_bytes": int(compiled.memory_analysis().temp_size_in_bytes),
        "collectives": {
            kind: {"count": each["count"], "mebibytes": round(each["bytes"] / 2**20, 3)}
            for kind, each in sorted(found.items())
        },
    }
