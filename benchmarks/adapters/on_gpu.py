"""What training an adapter costs on a GPU: here, beside training all parameters, and with PEFT.

    low_rank(GEMMA_2B, TRIES, 5.0)["model_flops_utilization"]
    of_full(BILLION, TRIES, 5.0)["of_full"]              # how long its step takes of a full one
    with_peft(GEMMA_2B, TRIES, 5.0, compiled=False, on_cpu=False)["tokens_per_second"]

Weights are fresh: no time depends on them. All compute in bfloat16; a base that is not trained is
kept in it, too, and what is trained is float32.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import jax

from benchmarks.adapters.settings import RANK
from benchmarks.adapters.with_jaxtrain import Form, Training
from benchmarks.language.rates import tokens_per_second
from benchmarks.language.shape import Shape
from benchmarks.machine import is_out_of_memory, peak_bytes
from benchmarks.peaks import peak_flops
from benchmarks.tries import first_that_fits

# config.json of google/gemma-2b, as configs/gemma_2b.py has it.
GEMMA_2B = Shape(
    family="gemma",
    vocabulary=256_000,
    width=2048,
    layers=18,
    heads=8,
    kv_heads=1,
    head_dim=256,
    hidden=16_384,
    length=2048,
    batch=8,
    tied=True,
)

Tries = tuple[tuple[int, str], ...]
_DTYPE = "bfloat16"
_ROUNDS = 4


def low_rank(shape: Shape, tries: Tries, seconds: float) -> dict[str, Any]:
    """Tokens a second with an adapter on all layers, and which share of the device's peak that is.

    No gradient of a kernel is formed, and none is counted.
    """

    def measure(batch: int, remat: Any) -> dict[str, Any]:
        own = dataclasses.replace(shape, batch=batch)
        training = Training(own, "low_rank", precision=_DTYPE, remat=remat)
        found = tokens_per_second(training, own.tokens, seconds)
        flops, peak = training.flops(), peak_flops(jax.devices()[0].device_kind)
        rate = found["tokens_per_second"]
        return {
            **_sizes(own, training.trained()),
            **found,
            "flops_per_token": dataclasses.asdict(flops),
            "peak_flops": peak,
            "model_flops_utilization": None if peak is None else rate * flops.total / peak,
            "peak_bytes": peak_bytes(),
        }

    return first_that_fits(tries, measure)


def of_full(shape: Shape, tries: Tries, seconds: float) -> dict[str, Any]:
    """How long a step of an adapter takes, as a share of one of all parameters.

    Both are in one process, with as many rows and the same kept for the backward pass, and take
    turns; the share is the median of those within the rounds.
    """
    forms: tuple[Form, ...] = ("full", "low_rank")

    def measure(batch: int, remat: Any) -> dict[str, Any]:
        own = dataclasses.replace(shape, batch=batch)
        both = {form: Training(own, form, precision=_DTYPE, remat=remat) for form in forms}
        losses = {form: training.first_losses(3) for form, training in both.items()}
        steps = max(1, round(seconds * both["full"].round(2)["clock"] / own.tokens))
        rates: dict[str, list[float]] = {form: [] for form in forms}
        for number in range(_ROUNDS + 1):  # the first one warms up
            for form, training in both.items():
                rate = training.round(steps)["clock"]
                if number:
                    rates[form].append(rate)
        shares = [full / low for full, low in zip(rates["full"], rates["low_rank"], strict=True)]
        return {
            **_sizes(own, both["low_rank"].trained()),
            "of_full": statistics.median(shares),
            "shares": shares,
            "rates": rates,
            "steps_a_round": steps,
            "first_losses": losses,
        }

    return first_that_fits(tries, measure)


def with_peft(
    shape: Shape, tries: Tries, seconds: float, compiled: bool, on_cpu: bool
) -> dict[str, Any]:
    """Tokens a second of the work of `low_rank`, by transformers and PEFT; or why not, `left_out`.

    Args:
        shape: of a Gemma.
        tries: rows a step, and "none" or "full": whether layers are computed again.
        seconds: about how long a round is.
        compiled: whether model and loss go through torch.compile.
        on_cpu: whether a PyTorch without a GPU will do, to see that it works.
    """
    # PyTorch is not everywhere, and wants seconds to be imported.
    from benchmarks.adapters.peft_on_gpu import Training as OfPeft
    from benchmarks.adapters.peft_on_gpu import device, peak

    if device() == "cpu" and not on_cpu:
        return {"left_out": "PyTorch computes on no GPU; is it one for CUDA that is installed?"}

    def measure(batch: int, remat: str) -> dict[str, Any]:
        own = dataclasses.replace(shape, batch=batch)
        training = OfPeft(own, compiled, again=remat == "full")
        if compiled:
            try:
                training.first_losses(1)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                # No fault of what is measured: torch.compile wants a C++ compiler, and Triton.
                first = (str(error).strip().splitlines() or [""])[0]
                return {"left_out": f"torch.compile: {type(error).__name__}: {first}"}
        found = tokens_per_second(training, own.tokens, seconds)
        return {**_sizes(own, training.trained()), **found, "peak_bytes": peak()}

    return first_that_fits(tries, measure)


def _sizes(shape: Shape, trained: int) -> dict[str, Any]:
    sizes = dataclasses.asdict(shape.config()) | {"length": shape.length}
    return {"sizes": sizes, "rank": RANK, "trained_parameters": trained}
