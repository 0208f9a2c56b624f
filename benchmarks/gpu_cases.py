"""What `python -m benchmarks gpu` measures, in order of importance.

    for case in cases(tiny=False):
        figures = case.measure(*case.arguments)       # in a process of its own

Memory is what the device says: the highest number of bytes that were in use at once, of a process
that did nothing else. A CPU says nothing, then it is None.

Axes: B batch, L length, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from benchmarks import loop
from benchmarks import saves as saving
from benchmarks.adapters import on_gpu as adapters
from benchmarks.adapters.settings import PROGRAMS
from benchmarks.language import attention, loss
from benchmarks.language.rates import tokens_per_second
from benchmarks.language.settings import PROMPT
from benchmarks.language.shape import Shape
from benchmarks.language.with_jaxtrain import Training, Writing
from benchmarks.machine import peak_bytes
from benchmarks.peaks import peak_flops
from benchmarks.processes import Stopwatch
from benchmarks.tries import first_that_fits
from jaxtrain.models.decoder import attention_choice, flops_per_token, initial_params

# Llama 3.2 1B.
BILLION = Shape(
    vocabulary=128_256,
    width=2048,
    layers=16,
    heads=32,
    kv_heads=8,
    hidden=8192,
    length=2048,
    batch=8,
    tied=True,
)
TINY = Shape(vocabulary=64, width=16, layers=2, heads=2, kv_heads=1, length=8, batch=2, tied=True)
TINY_GEMMA = dataclasses.replace(TINY, family="gemma", hidden=32)
# Rows a step, and what a layer keeps for the backward pass; the first that fits is measured.
TRIES = ((8, "none"), (8, "mlp"), (8, "full"), (4, "mlp"), (2, "full"), (1, "full"))
# PyTorch knows all or nothing.
PEFT_TRIES = ((8, "none"), (4, "none"), (8, "full"), (2, "full"), (1, "full"))

# Of the device's memory. Whatever is measured is alone on it.
_MOST = MappingProxyType({"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92"})
# Several processes share it: nobody may take most of it at once.
_SHARED = MappingProxyType({"XLA_PYTHON_CLIENT_PREALLOCATE": "false"})


@dataclasses.dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        part: what it belongs to in the record.
        name: in its part.
        seconds: about how long it takes on a GPU; it is not begun with less left.
        measure: returns JSON values.
        arguments: of it.
        environment: variables that its process begins with.
        has_children: whether it starts processes itself.
        programs: packages that it wants, besides ours.
    """

    part: str
    name: str
    seconds: float
    measure: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=lambda: _MOST)
    has_children: bool = False
    programs: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """In a record of what was left out."""
        return f"{self.part}: {self.name}"

    @property
    def at_most(self) -> float:
        """Seconds; one that hangs must not take the time of all others."""
        return 3 * self.seconds if self.seconds else math.inf


def cases(*, tiny: bool) -> Iterator[Case]:
    """All of them.

    Args:
        tiny: in sizes with which any device is done at once, to see that all of it works.
    """
    shape = TINY if tiny else BILLION
    tries = ((2, "none"),) if tiny else TRIES
    seconds = 0.01 if tiny else 5.0

    def about(number: float) -> float:
        return 0.0 if tiny else number

    def trained(name: str, engine: bool) -> Case:
        return Case("train", name, about(90), train, (shape, engine, tries, seconds))

    gemma, peft_tries = (TINY_GEMMA, tries) if tiny else (adapters.GEMMA_2B, PEFT_TRIES)

    def peft(name: str, takes: float, compiled: bool) -> Case:
        how = gemma, peft_tries, seconds, compiled, tiny
        return Case("lora", name, about(takes), adapters.with_peft, how, programs=PROGRAMS)

    yield trained("engine, fused", True)
    yield Case("lora", "low-rank", about(90), adapters.low_rank, (gemma, tries, seconds))
    beside = shape, tries, seconds / 2
    yield Case("lora", "beside all parameters", about(120), adapters.of_full, beside)
    yield peft("peft, eager", 60, compiled=False)
    for length in (16,) if tiny else (1024, 2048, 4096):
        forms = shape, length, seconds
        yield Case("attention", f"L={length}", about(30), attention_forms, forms)
    for words in (64,) if tiny else (32_000, 256_000):
        sizes = (words, shape.width, 32 if tiny else 8192)
        for form in ("plain", 8 if tiny else 1024):
            name = f"V={words}, {form if form == 'plain' else f'tile {form}'}"
            yield Case("loss", name, about(25), token_loss, (form, sizes))
    if not tiny:  # on a processor a minute of compiling, and the same lines as eager
        yield peft("peft, compiled", 120, compiled=True)
    for batch in (2,) if tiny else (1, 8):
        new = 4 if tiny else 128
        yield Case("generate", f"batch {batch}", about(60), generate, (shape, batch, new))
    yield trained("bare step", False)
    for task in ("mnist_mlp",) if tiny else ("mnist_mlp", "mnist_cnn"):
        of = task, 2 if tiny else None, min(seconds, 1.0)
        yield Case("loops", task, about(45), loops, of, environment=_SHARED, has_children=True)
    millions, rounds = (1, 1) if tiny else (100, 3)
    yield Case("saves", f"{millions}M parameters", about(60), saves, (millions, rounds))


# -- in the processes ----------------------------------------------------------------------------


def device(platform: str) -> dict[str, Any]:
    """What there is to compute on.

    Raises:
        RuntimeError: JAX computes on something else.
    """
    found = jax.devices()
    if found[0].platform != platform:
        raise RuntimeError(f"JAX computes on {found[0].platform!r}; is jaxtrain[cuda] installed?")
    stats = found[0].memory_stats() or {}
    return {
        "platform": found[0].platform,
        "kind": found[0].device_kind,
        "number": len(found),
        "compute_capability": getattr(found[0], "compute_capability", None),
        "memory_bytes": stats.get("bytes_limit"),
    }


def train(
    shape: Shape, engine: bool, tries: tuple[tuple[int, str], ...], seconds: float
) -> dict[str, Any]:
    """Tokens a second of training in bfloat16, and which share of the device's peak that is."""
    return first_that_fits(
        tries,
        lambda batch, remat: _train(
            dataclasses.replace(shape, batch=batch), engine, remat, seconds
        ),
    )


def _train(shape: Shape, engine: bool, remat: Any, seconds: float) -> dict[str, Any]:
    config = shape.config()
    found = tokens_per_second(
        Training(shape, engine, None, "bfloat16", remat), shape.tokens, seconds
    )
    choice = attention_choice(config, "auto", dtype="bfloat16", length=shape.length)
    flops = flops_per_token(config, shape.length, remat=remat, attention=choice.name)
    peak = peak_flops(jax.devices()[0].device_kind)
    rate = found["tokens_per_second"]
    return {
        "sizes": dataclasses.asdict(config) | {"length": shape.length},
        **found,
        "flops_per_token": dataclasses.asdict(flops),
        "peak_flops": peak,
        "model_flops_utilization": None if peak is None else rate * flops.total / peak,
        "peak_bytes": peak_bytes(),
        "attention": {"chosen": choice.name, "why": choice.why},
    }


def attention_forms(shape: Shape, length: int, seconds: float) -> dict[str, Any]:
    """Milliseconds of each form in bfloat16, and whether the rule takes the fastest."""
    _, sizes = attention.of_length(shape, length)
    return {**sizes, **attention.forms(sizes, "bfloat16", False, seconds)}


def token_loss(form: int | str, sizes: tuple[int, int, int]) -> dict[str, Any]:
    """Seconds and memory of one form of the loss in bfloat16, forward and back."""
    (found,) = loss.forms([form], sizes, "bfloat16", 5).values()
    return {**dict(zip("VDT", sizes, strict=True)), **found, "peak_bytes": peak_bytes()}


def generate(shape: Shape, batch: int, new: int) -> dict[str, Any]:
    """Tokens a second that a model in bfloat16 writes."""
    config = shape.config(longest=PROMPT + new)
    writing = Writing(initial_params(jax.random.key(0), config, dtype="bfloat16"), config)
    prompts = np.random.default_rng(0).integers(1, shape.vocabulary, (batch, PROMPT))
    rates = []
    for _ in range(4):
        watch = Stopwatch()
        written = writing.write(prompts, new, "greedy")
        rates.append(watch.rates(written.size)["clock"])
    return {
        "tokens_per_second": statistics.median(rates[1:]),  # the first one compiles
        "rounds": rates[1:],
        "prompt": PROMPT,
        "new": new,
        "peak_bytes": peak_bytes(),
    }


def loops(task: str, batches: int | None, seconds: float) -> dict[str, Any]:
    """Steps a second of the engine, fused, and of a jitted loop by hand."""
    *_, (_, _, speeds) = loop.measure(
        ["jaxtrain", "by_hand"], [task], rounds=3, seconds=seconds, batches=batches
    )
    return {
        "steps_per_second": {name: statistics.median(each) for name, each in speeds.items()},
        "times_as_fast": loop.ratios({task: speeds})[task]["jaxtrain"]["by_hand"],
        "rounds": speeds,
    }


def saves(millions: int, rounds: int) -> dict[str, Any]:
    """How long a checkpoint holds the training up, here and with orbax."""
    with tempfile.TemporaryDirectory() as directory:
        return saving.measure(millions, rounds, Path(directory))
