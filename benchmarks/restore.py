"""`python -m benchmarks restore`: checkpoints of any mesh, on any mesh, by any number of processes.

    python -m benchmarks restore
    python -m benchmarks restore --megabytes 16 --large 64

A state is saved on each of some meshes, and loaded on each, by processes of their own on this
machine with eight simulated devices or fewer between them. Each process compares, bit for bit, what
its devices were given. For each pair stand there

    equal      whether all was as it was saved, on every device
    seconds    to find, verify and read it, by the slowest process

Then a larger state is saved and loaded by two processes, of which each holds a half. What either
takes of memory at most besides is given in bytes, and as a share of the whole state. Memory is read
from /proc, so this runs on Linux alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "restore.json"

MESHES: dict[str, tuple[int, dict[str, int]]] = {
    "1 device": (1, {"data": 1}),
    "2 devices": (1, {"fsdp": 2}),
    "4 devices": (1, {"fsdp": 2, "tensor": 2}),
    "8 devices": (1, {"fsdp": 8}),
    "8 devices, 2 processes": (2, {"data": 2, "fsdp": 4}),
    "8 devices, 4 processes": (4, {"fsdp": 4, "tensor": 2}),
}
"""How many processes, and the sizes of the axes."""

LARGE = (2, {"fsdp": 8})


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks restore")
    parser.add_argument("--megabytes", type=int, default=64, help="of the state of the matrix")
    parser.add_argument("--large", type=int, default=512, help="megabytes of the one for memory")
    parser.add_argument("--directory", help="the disk to save to; by default that of /tmp")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    root = Path(tempfile.mkdtemp(dir=options.directory))
    try:
        record = {
            "machine": machine_facts(["jaxtrain", "jax", "jaxlib", "orbax-checkpoint", "numpy"]),
            "megabytes": options.megabytes,
            "meshes": matrix(root, options.megabytes),
            "memory": memory(root, options.large),
        }
    finally:
        shutil.rmtree(root)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written: {options.out}")


def matrix(root: Path, megabytes: int) -> dict[str, dict[str, dict[str, Any]]]:
    """By the mesh that saved and the one that loaded."""
    for name, mesh in MESHES.items():
        run(mesh, root, megabytes, save=root / name)
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in MESHES}
    for name, mesh in MESHES.items():
        answers = run(mesh, root, megabytes, load=[root / saved for saved in MESHES])
        for saved in MESHES:
            loads = [answer["loads"][str(root / saved)] for answer in answers]
            found[saved][name] = {
                "equal": all(one["equal"] for one in loads),
                "seconds": max(one["seconds"] for one in loads),
            }
            print(f"  {saved:24} -> {name:24} {found[saved][name]}", flush=True)
    return found


def memory(root: Path, megabytes: int) -> dict[str, Any]:
    """What a process takes at most of a state of which it holds a half."""
    answers = run(LARGE, root, megabytes, save=root / "large", load=[root / "large"])
    saves = [answer["save"] for answer in answers]
    loads = [load for answer in answers for load in answer["loads"].values()]
    state = saves[0]["state_bytes"]
    found: dict[str, Any] = {
        "state_bytes": state,
        "processes": LARGE[0],
        "held_bytes": max(one["held_bytes"] for one in saves),
        "equal": all(one["equal"] for one in loads),
        "blocked_seconds": max(one["blocked_seconds"] for one in saves),
    }
    for what, figures in (("save", saves), ("load", loads)):
        peak = max(one["peak_bytes"] for one in figures)
        found[what] = {
            "seconds": max(one["seconds"] for one in figures),
            "peak_bytes": peak,
            "peak_of_state": peak / state,
        }
        print(
            f"  {what}: {peak / 1e6:.0f} MB at most besides, {peak / state:.0%} of the "
            f"{state / 1e6:.0f} MB that all hold together; {found[what]['seconds']:.2f} s"
        )
    return found


def run(
    mesh: tuple[int, dict[str, int]],
    root: Path,
    megabytes: int,
    *,
    save: Path | None = None,
    load: Sequence[Path] = (),
) -> list[dict[str, Any]]:
    """What each process of a mesh has measured; those of one mesh run at the same time."""
    count, sizes = mesh
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    flags = os.environ.get("XLA_FLAGS", "")
    flags = f"{flags} --xla_force_host_platform_device_count={8 // count}"
    environment = {**os.environ, "XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
    with tempfile.TemporaryDirectory(dir=root, prefix="warm-") as warm:
        asked: dict[str, Any] = {
            "port": port,
            "count": count,
            "mesh": sizes,
            "megabytes": megabytes,
            "warm": f"{warm}/checkpoints",
            "save": str(save) if save else None,
            "load": [str(path) for path in load],
        }
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.on_mesh", json.dumps({**asked, "number": n})],
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for n in range(count)
        ]
        said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"a process of {count} on {sizes} failed")
    return [json.loads(text.splitlines()[-1]) for text in said]
