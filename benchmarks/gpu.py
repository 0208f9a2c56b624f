"""`python -m benchmarks gpu`: what this project claims for GPUs, on the one that is there.

    python -m benchmarks gpu --out benchmarks/results/gpu.json
    python -m benchmarks gpu --minutes 5 --parts train,attention
    python -m benchmarks gpu --device cpu --tiny           # all of it works

    train       tokens a second of a Llama of a billion parameters, bfloat16, L = 2048, and which
                share of the device's peak that is
    lora        the same with an adapter of rank 16 on all layers of a Gemma 2B, here and by
                transformers and PEFT; how long its step takes beside one of all parameters
    attention   milliseconds of cudnn, xla and tiled, and whether the rule takes the fastest
    loss        seconds and memory of the loss, tile by tile and all at once
    generate    tokens a second that the same Llama writes
    loops       steps a second of the engine, fused, and of a jitted loop by hand
    saves       how long a checkpoint holds the training up

What matters most comes first, and each case has a process of its own. One for which the time does
not suffice is not begun, one that takes several times as long as it should is stopped; both stand
in the record as left out, as do one that does not fit into the memory, one that wants a package
that is not installed, and all where there is no GPU. With `--out` the record is written after each
case. A case that fails is in the record, too; then the command's exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.gpu_cases import Case, cases, device
from benchmarks.machine import is_out_of_memory, machine_facts
from benchmarks.parts import some_of
from benchmarks.processes import KEEPS_MEMORY, OwnProcess, ProcessFailed
from jaxtrain.files import replacing

PACKAGES = ["jaxtrain", "jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin"]
PACKAGES += ["nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "optax", "orbax-checkpoint", "numpy"]
PACKAGES += ["torch", "triton", "transformers", "peft"]
PARTS = ("train", "lora", "attention", "loss", "generate", "loops", "saves")

Record = dict[str, Any]


def main(argv: Sequence[str]) -> None:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.device == "cpu" and not options.tiny:
        parser.error("--device cpu is for --tiny; the other sizes are for a GPU and its memory")
    chosen = [case for case in cases(tiny=options.tiny) if case.part in options.parts]
    record: Record = {
        "machine": machine_facts(PACKAGES),
        "minutes": options.minutes,
        "tiny": options.tiny,
    }

    def keep() -> None:
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            with replacing(options.out) as temporary:
                temporary.write_text(json.dumps(record, indent=1) + "\n")

    measure(chosen, record, keep, device_name=options.device, seconds=60 * options.minutes)
    if options.out is not None:
        print(f"written: {options.out}")
    if record["failed"]:
        raise SystemExit(1)


def measure(
    chosen: Iterable[Case],
    record: Record,
    keep: Callable[[], None],
    *,
    device_name: str,
    seconds: float,
) -> None:
    """Measure case by case into the record, and `keep` it after each.

    Args:
        chosen: what there is to measure, what matters most first.
        record: gets `device`, `parts`, `left_out`, `failed` and `took_seconds`; where there is no
            device, `no_device` says why.
        keep: is called whenever there is more in it.
        device_name: "gpu" or "cpu".
        seconds: how long all of it may take.
    """
    began = time.monotonic()
    record |= {"device": None, "parts": {}, "left_out": {}, "failed": {}}
    # What JAX would choose is the GPU. To ask for one by name fails where the plugin of any other
    # maker of GPUs is absent (JAX #25315).
    wanted = {"JAX_PLATFORMS": "cpu"} if device_name == "cpu" else {}

    def left() -> float:
        return seconds - (time.monotonic() - began)

    def alone(case: Case) -> dict[str, Any]:
        environment = {**KEEPS_MEMORY, **wanted, **case.environment}
        name, most = case.title, min(left(), case.at_most)
        with OwnProcess(name, environment=environment, has_children=case.has_children) as process:
            return process.call(case.measure, *case.arguments, seconds=most)

    try:
        record["device"] = alone(Case("device", device_name, 0.0, device, (device_name,)))
        print(f"on {record['device']['kind']}", flush=True)
    except (ProcessFailed, TimeoutError) as error:
        record["no_device"] = getattr(error, "why", str(error))
        print(f"no {device_name} that JAX computes on: {record['no_device']}", flush=True)
    for case in chosen:
        _one(case, record, alone, left())
        record["took_seconds"] = round(time.monotonic() - began)
        keep()


def _one(case: Case, record: Record, alone: Callable[[Case], Any], left: float) -> None:
    """Measure a case with so many seconds left, or say why not."""
    if record["device"] is None:
        why = "nothing to compute on"
    elif left <= case.seconds:
        why = f"takes about {case.seconds:.0f} s, and {max(0.0, left):.0f} s were left"
    elif absent := [name for name in case.programs if find_spec(name) is None]:
        why = f"not installed: {', '.join(absent)} (the extra 'peers' has them)"
    else:
        try:
            figures = alone(case)
        except TimeoutError as error:
            why = str(error)
        except ProcessFailed as error:
            if not is_out_of_memory(error.why):
                record["failed"][case.title] = error.why
                print(f"{case.title}: failed\n{error}", flush=True)
                return
            why = "does not fit into the device's memory"
        else:
            if "left_out" not in figures:
                record["parts"].setdefault(case.part, {})[case.name] = figures
                print("\n".join(_lines(case.title, figures)), flush=True)
                return
            why = figures["left_out"]
    record["left_out"][case.title] = why
    print(f"{case.title}: left out, {why}", flush=True)


def _lines(name: str, figures: dict[str, Any]) -> list[str]:
    """What matters of a case's figures, all of them being in the record."""
    lines = [name]
    if "tokens_per_second" in figures:
        share = figures.get("model_flops_utilization")
        lines.append(
            f"  {figures['tokens_per_second']:,.0f} tokens a second"
            + (f", {share:.1%} of the device's peak" if share is not None else "")
        )
    if "of_full" in figures:
        lines.append(f"  a step takes {figures['of_full']:.2f} of one of all parameters")
    if "milliseconds" in figures:
        times = ", ".join(f"{f} {t['clock']:.2f} ms" for f, t in figures["milliseconds"].items())
        lines.append(f"  {times}; the rule takes {figures['chosen']}")
    if "seconds" in figures:
        lines.append(f"  {1e3 * figures['seconds']:.2f} ms")
    if "times_as_fast" in figures:
        lines.append(f"  {figures['times_as_fast']:.2f} times as fast as a loop by hand")
    if figures.get("peak_bytes") is not None:
        lines.append(f"  {figures['peak_bytes'] / 2**30:.2f} GiB at most")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=10.0, help="at most, all together")
    parser.add_argument("--parts", type=some_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--tiny", action="store_true", help="to see that it works, anywhere")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser
