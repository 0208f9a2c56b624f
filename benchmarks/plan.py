"""`python -m benchmarks plan`: how far the prediction of a plan is from what is measured.

    python -m benchmarks plan
    python -m benchmarks plan --models mlp --rounds 3
    python -m benchmarks plan --out benchmarks/results/plan.json

`plan --devices N --chip NAME` predicts bytes and time of a step on hardware that is not there. Here
the hardware is this CPU, taken as one device and as eight simulated ones that share its cores: what
it multiplies, copies and sums over devices in a second is measured first, in the same processes,
and the prediction is made of these by the same formula. Then the step runs.

The formula leaves out what starting a kernel or a collective takes, what stands between products,
and that eight simulated devices wait for each other on few cores; so it says less than is measured,
most of all of small models. Bytes are those of one device: what was counted from shapes, beside
what XLA's own account of the compiled step says.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from benchmarks.processes import KEEPS_MEMORY, OwnProcess
from jaxtrain.files import replacing

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {
        "data": {"name": "digits", "batch_size": 512},
        "model": {"name": "mlp", "hidden": [1024, 1024, 1024]},
    },
    "cnn": {
        "data": {"name": "digits", "flat": False, "batch_size": 256},
        "model": {"name": "cnn"},
    },
    "decoder": {
        "data": {"name": "text", "length": 128, "batch_size": 16},
        "model": {"name": "decoder", "width": 256, "layers": 4, "heads": 4},
        "loss": {"name": "next_token"},
        "optimizer": {"name": "adamw"},
    },
}
MESHES: dict[str, tuple[int, dict[str, int]]] = {
    "1 device": (1, {}),
    "8 data": (8, {"data": 8}),
    "4 data x 2 fsdp": (8, {"data": 4, "fsdp": 2}),
}
WIDTH = 1024
COPIED = 2**24  # numbers on each device
SUMMED = 2**22
SECONDS = 0.3  # of a round


def best_of(step: Callable[[], Any], *, rounds: int) -> float:
    """Seconds of a call: of several rounds the best, as a data sheet would have it."""
    import jax

    jax.block_until_ready(step())
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(step())
        found.append(time.perf_counter() - began)
    return min(found)


def measure_chip(rounds: int) -> dict[str, float]:
    """What each device of this process does in a second, while all do the same."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import PartitionSpec

    from jaxtrain.parallel import batch_sharding, make_mesh
    from jaxtrain.parallel.mesh import ROWS

    mesh = make_mesh()
    rows, count = batch_sharding(mesh), mesh.size

    def array(*shape: int) -> jax.Array:
        make = jax.jit(lambda: jnp.ones((count, *shape), jnp.float32), out_shardings=rows)
        return make()

    a, b = array(WIDTH, WIDTH), array(WIDTH, WIDTH)
    product = best_of(lambda: jnp.matmul(a, b), rounds=rounds)
    # In its own place: new memory would be fetched from the system, page by page.
    turn = jax.jit(jax.numpy.negative, donate_argnums=0)
    long = [array(COPIED)]

    def turned() -> jax.Array:
        long[0] = turn(long[0])
        return long[0]

    copied = best_of(turned, rounds=rounds)
    found = {
        "flops": 2 * WIDTH**3 / product,
        "bandwidth": 2 * 4 * COPIED / copied,
        "link": 1.0,
    }
    if count > 1:
        each = array(SUMMED)
        over = jax.jit(
            jax.shard_map(
                lambda x: jax.lax.psum(x, ROWS),
                mesh=mesh,
                in_specs=PartitionSpec(ROWS),
                out_specs=PartitionSpec(),
            )
        )
        sent = 2 * (count - 1) / count * 4 * SUMMED
        found["link"] = sent / best_of(lambda: over(each), rounds=rounds)
    return found


def measure_step(config: dict[str, Any], rounds: int) -> dict[str, float]:
    """Seconds of a step, and bytes of one device."""
    import jax

    from jaxtrain.run import RunData, Task, make_config

    task = Task.of(RunData.of(make_config(config)))
    state = task.initial_state()
    first = jax.devices()[0]
    held = sum(
        shard.data.nbytes
        for leaf in jax.tree.leaves(state)
        for shard in leaf.addressable_shards
        if shard.device == first
    )
    batch = jax.device_put(next(iter(task.loader)))
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    jitted = jax.jit(task.train_step, donate_argnums=0, out_shardings=(where, None))
    step = jitted.lower(state, batch).compile()
    memory = step.memory_analysis()
    state, _ = step(state, batch)
    jax.block_until_ready(state)
    count, found = 1, []
    while len(found) < rounds:
        began = time.perf_counter()
        for _ in range(count):
            state, _ = step(state, batch)
        jax.block_until_ready(state)
        took = time.perf_counter() - began
        if took < SECONDS / 2 and not found:
            count *= 2
            continue
        found.append(took / count)
    return {
        "seconds": statistics.median(found),
        "state_bytes": held,
        "step_bytes": memory.argument_size_in_bytes + memory.temp_size_in_bytes,
    }


def predicted(config: dict[str, Any], devices: int, chip: dict[str, float]) -> dict[str, Any]:
    """The same, by the formula."""
    from jaxtrain.run import make_config
    from jaxtrain.run.chips import Chip
    from jaxtrain.run.scale import Prediction
    from jaxtrain.run.simulated import simulated

    found = simulated(make_config(config), devices)
    here = Chip(
        "this CPU", chip["flops"], 0.0, chip["bandwidth"], chip["link"], devices, None, "measured"
    )
    took = Prediction.of(found, here)
    return {
        "seconds": took.step,
        "products": took.products,
        "memory": took.memory,
        "links": took.links,
        "state_bytes": found.needs.state,
        "step_bytes": found.needs.total,
        "compile_seconds": found.seconds,
    }


def compare(models: Sequence[str], rounds: int) -> dict[str, Any]:
    """All of it, printed as it comes."""
    chips: dict[str, dict[str, float]] = {}
    rows = []
    for devices in sorted({number for number, _ in MESHES.values()}):
        flags = f"--xla_force_host_platform_device_count={devices}"
        environment = {**KEEPS_MEMORY, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        with OwnProcess(f"{devices} devices", environment=environment) as process:
            chip = chips[str(devices)] = process.call(measure_chip, rounds)
            print(_chip_line(devices, chip), flush=True)
            for name in models:
                for mesh, (number, axes) in MESHES.items():
                    if number != devices:
                        continue
                    config = MODELS[name] | ({"mesh": axes} if axes else {})
                    measured = process.call(measure_step, config, rounds)
                    said = predicted(config, devices, chip)
                    rows.append({"model": name, "mesh": mesh, "said": said, "measured": measured})
                    print(_row_line(rows[-1]), flush=True)
    return {"chips": chips, "rows": rows}


def _chip_line(devices: int, chip: dict[str, float]) -> str:
    from jaxtrain.units import si

    sums = f", sends {si(chip['link'])}B/s" if devices > 1 else ""
    return (
        f"\nof {devices}, each: {si(chip['flops'])}FLOP/s, moves {si(chip['bandwidth'])}B/s{sums}\n"
        f"{'model':9}{'mesh':17}{'predicted':>12}{'measured':>12}{'ratio':>7}  "
        f"{'bytes: counted':>15}{'XLA':>12}{'ratio':>7}"
    )


def _row_line(row: dict[str, Any]) -> str:
    from jaxtrain.units import as_bytes, si

    said, measured = row["said"], row["measured"]
    times = f"{si(said['seconds'])}s", f"{si(measured['seconds'])}s"
    sizes = as_bytes(said["step_bytes"]), as_bytes(measured["step_bytes"])
    return (
        f"{row['model']:9}{row['mesh']:17}{times[0]:>12}{times[1]:>12}"
        f"{said['seconds'] / measured['seconds']:7.2f}  {sizes[0]:>15}{sizes[1]:>12}"
        f"{said['step_bytes'] / measured['step_bytes']:7.2f}"
    )


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks plan", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    options = parser.parse_args(argv)
    models = options.models.split(",")
    if unknown := [name for name in models if name not in MODELS]:
        sys.exit(f"--models: {', '.join(unknown)}: expected some of {', '.join(MODELS)}")
    found = compare(models, options.rounds)
    if options.out is not None:
        facts = machine_facts(["jaxtrain", "jax", "jaxlib"]) | {"load": os.getloadavg()[1]}
        with replacing(options.out) as file:
            file.write_text(json.dumps({"machine": facts, **found}, indent=1) + "\n")
