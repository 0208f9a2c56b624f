"""`python -m benchmarks lm`: what a language model costs, here and with transformers.

    python -m benchmarks lm
    python -m benchmarks lm --parts train --layers 2 --length 128 --rounds 9
    python -m benchmarks lm --parts loss --vocabularies 256000 --width 512
    python -m benchmarks lm --out benchmarks/results/lm.json

A Llama of 6 layers, D = 384, V = 4096, in float32, on batches of 8 rows of 256 tokens:

    train       tokens a second of training by AdamW: by the engine with a run's metrics, by the
                jitted step alone, and by transformers' LlamaForCausalLM with PyTorch, eager and
                under torch.compile
    loss        memory and seconds of the loss, tile by tile and all at once, with this vocabulary,
                with that of Llama 2 and with that of Gemma
    generate    tokens a second that are written, here and with transformers
    attention   milliseconds of the forms of attention, and which of them the rule takes

Whatever is measured has a process of its own, and the frameworks take turns; a figure is the median
of the rounds, a ratio the median of the ratios within the rounds. Beside the clock's stand figures
of processor time: where others use the machine as well they say more, with one core above all,
since threads that wait for each other spin.

With `--out` a record is written as it grows. A part that is not measured keeps its place in it.
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

from benchmarks.language import attention, generation, loss, training
from benchmarks.language.settings import PROMPT
from benchmarks.language.shape import Shape
from benchmarks.machine import machine_facts
from benchmarks.parts import some_of
from benchmarks.processes import OwnProcess
from jaxtrain.files import replacing

PACKAGES = ["jaxtrain", "jax", "jaxlib", "optax", "numpy", "torch", "transformers"]
PARTS = {"train": training, "loss": loss, "generate": generation, "attention": attention}


def main(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    sizes = {field.name for field in dataclasses.fields(Shape)}
    shape = Shape(**{name: value for name, value in vars(options).items() if name in sizes})
    # Sizes that do not go together are told before anything is measured.
    config = shape.config()
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text())
    facts = {
        "machine": machine_facts(PACKAGES),
        "cores": options.cores,
        "sizes": dataclasses.asdict(config) | {"length": shape.length, "batch": shape.batch},
        "rounds": options.rounds,
    }
    with tempfile.TemporaryDirectory() as directory:
        for part in options.parts:
            began = time.perf_counter()
            for found in _measure(part, shape, options, Path(directory)):
                took = round(time.perf_counter() - began)
                record[part] = {**facts, "took_seconds": took, **found}
                if options.out is not None:
                    _write(options.out, record)
            print("\n".join(PARTS[part].table(record[part])), flush=True)
    if options.out is not None:
        print(f"written: {options.out}")


def _measure(
    part: str, shape: Shape, options: argparse.Namespace, directory: Path
) -> Iterator[dict[str, Any]]:
    """The part's record, more of it each time."""
    rounds, cores = options.rounds, options.cores
    if part == "loss":
        every = dict.fromkeys((shape.vocabulary, *options.vocabularies))
        of = [(vocabulary, shape.width, shape.tokens) for vocabulary in every]
        return loss.measure(of, rounds=rounds, cores=cores)
    if part == "attention":
        return attention.measure(shape, seconds=options.seconds, cores=cores)
    weights = directory / "weights"
    if not weights.exists():
        with OwnProcess("jaxtrain") as process:
            process.call(_write_weights, shape, weights, PROMPT + options.new)
    if part == "train":
        return training.measure(shape, weights, rounds=rounds, seconds=options.seconds, cores=cores)
    return generation.measure(
        shape.vocabulary,
        weights,
        batches=sorted({1, shape.batch}),
        new=options.new,
        rounds=rounds,
        cores=cores,
    )


def _write_weights(shape: Shape, path: Path, longest: int) -> None:
    """In a process of its own, so that this one never begins to use a device."""
    from benchmarks.language.with_jaxtrain import write_weights

    write_weights(shape, path, longest)


def _write(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks lm", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--parts", type=some_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    default = Shape()
    parser.add_argument("--vocabulary", type=int, default=default.vocabulary)
    parser.add_argument(
        "--vocabularies",
        type=int,
        nargs="*",
        default=[32_000, 256_000],
        help="others, for the loss",
    )
    parser.add_argument("--width", type=int, default=default.width)
    parser.add_argument("--layers", type=int, default=default.layers)
    parser.add_argument("--heads", type=int, default=default.heads)
    parser.add_argument("--kv-heads", type=int, help="as many as heads, by default")
    parser.add_argument("--length", type=int, default=default.length, help="tokens a row")
    parser.add_argument("--batch", type=int, default=default.batch, help="rows a step, prompts")
    parser.add_argument("--new", type=int, default=128, help="tokens to write behind each prompt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="about, for a round")
    parser.add_argument("--cores", type=int, help="how many each may use; all by default")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser
