"""`python -m benchmarks lora`: what an adapter costs, here and with PEFT, and what phases forget.

    python -m benchmarks lora
    python -m benchmarks lora --parts step --rounds 9
    python -m benchmarks lora --parts phases --seeds 3 --kinds none,replay
    python -m benchmarks lora --out benchmarks/results/lora.json

    step        tokens a second, and memory, of a step that trains an adapter of rank 16 on a Llama
                of 6 layers, D = 384, V = 4096: beside the kernels, merged in the loss, all
                parameters, and by transformers, PEFT and PyTorch
    merge       gigabytes a second that are merged into kernels, beside a plain copy
    phases      what configs/korean_medical.py forgets, without protection and with each kind

Whatever is measured has a process of its own, and the frameworks take turns; a figure is the median
of the rounds, a ratio the median of the ratios within the rounds. With `--out` a record is written
as it grows; a part that is not measured keeps its place in it, and so does a kind of protection
while the phases without one come to the same scores as before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.adapters import forgetting, merging, step
from benchmarks.language.shape import Shape
from benchmarks.machine import machine_facts
from benchmarks.parts import some_of
from jaxtrain.files import replacing

PACKAGES = ["jaxtrain", "jax", "jaxlib", "optax", "numpy", "torch", "transformers", "peft"]
PARTS = {"step": step, "merge": merging, "phases": forgetting}


def main(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    shape = Shape(layers=options.layers, width=options.width, length=options.length)
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text())
    facts = {
        "machine": machine_facts(PACKAGES),
        "cores": options.cores,
        "sizes": dataclasses.asdict(shape.config())
        | {"length": shape.length, "batch": shape.batch},
        "rounds": options.rounds,
    }
    with tempfile.TemporaryDirectory() as directory:
        for part in options.parts:
            began = time.perf_counter()
            earlier = record.get(part)
            for found in _measure(part, shape, options, Path(directory), earlier):
                took = round(time.perf_counter() - began)
                record[part] = {**facts, "took_seconds": took, **found}
                if options.out is not None:
                    options.out.parent.mkdir(parents=True, exist_ok=True)
                    with replacing(options.out) as temporary:
                        temporary.write_text(json.dumps(record, indent=1) + "\n")
            print("\n".join(PARTS[part].table(record[part])), flush=True)
    if options.out is not None:
        print(f"written: {options.out}")


def _measure(
    part: str,
    shape: Shape,
    options: argparse.Namespace,
    directory: Path,
    earlier: dict[str, Any] | None,
) -> Iterator[dict[str, Any]]:
    if part == "step":
        return step.measure(
            shape, directory, rounds=options.rounds, seconds=options.seconds, cores=options.cores
        )
    if part == "merge":
        return iter([merging.measure(shape, cores=options.cores)])
    return forgetting.measure(
        directory,
        seeds=options.seeds,
        kinds=options.kinds,
        overrides=options.config,
        cores=options.cores,
        earlier=earlier,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks lora", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--parts", type=some_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    default = Shape()
    for name in ("layers", "width", "length"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name))
    parser.add_argument("--rounds", type=int, default=5, help="turns of each framework")
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long a turn is")
    parser.add_argument("--cores", type=int, help="how many each process may use; all, by default")
    parser.add_argument("--seeds", type=int, default=3, help="of the phases")
    parser.add_argument(
        "--kinds",
        type=some_of(forgetting.KINDS),
        default=list(forgetting.KINDS),
        help=",".join(forgetting.KINDS),
    )
    parser.add_argument(
        "--config", action="append", default=[], metavar="KEY=VALUE", help="of the phases' config"
    )
    parser.add_argument("--out", type=Path, help="a file for the record")
    return parser
