"""What a run costs, in the words of a plan: memory, operations, and the time that they take.

    memory_lines(task, lambda: engine.compiled(loader))
    speed_lines(task)

Memory is counted from shapes (`Needs`), in a second. XLA's own account is the better one and wants
the step compiled, which takes minutes for a model of a billion parameters; so it is asked for where
what was counted fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jaxtrain.models import Flops
from jaxtrain.run.memory import Memory, available_memory
from jaxtrain.run.needs import Needs
from jaxtrain.run.peaks import peak_of
from jaxtrain.run.task import Task
from jaxtrain.step import policy
from jaxtrain.units import as_bytes, si


def memory_lines(task: Task, compiled: Callable[[], Any]) -> list[str]:
    """What the run needs, and whether that is there.

    Args:
        task: the task.
        compiled: makes the executable of a dispatch; not called where the run can't fit.
    """
    needs, memory = Needs.of(task), available_memory()
    parts = [f"{as_bytes(n)} {name}" for name, n in needs.by_part().items() if n]
    lines = [
        f"needed     {as_bytes(needs.total)} counted from shapes, beside what kernels work in:",
        *(f"           {part}" for part in parts),
    ]
    if memory is not None and needs.total > memory.size:
        fewer_would_fit = needs.total - needs.activations < memory.size
        return [
            *lines,
            "memory     not asked of XLA: what does not fit is not compiled",
            _too_much(needs.total, memory, task, comes_and_goes=fewer_would_fit),
        ]
    found = compiled().memory_analysis()
    if found is None:
        return [*lines, "memory     this platform says nothing about it"]
    sizes = {
        "arguments": found.argument_size_in_bytes,
        "outputs": found.output_size_in_bytes,
        "of those the same": found.alias_size_in_bytes,
        "temporary": found.temp_size_in_bytes,
    }
    lines.append(
        "memory     " + ", ".join(f"{as_bytes(size)} {kind}" for kind, size in sizes.items())
    )
    needed = sizes["arguments"] + sizes["outputs"] - sizes["of those the same"] + sizes["temporary"]
    if memory is not None and needed > memory.size:
        passing = sizes["temporary"] > needed / 2
        lines.append(_too_much(needed, memory, task, comes_and_goes=passing))
    return lines


def speed_lines(task: Task) -> list[str]:
    """Operations a step and a token, and what time they make; none where nobody counts them."""
    if task.model.flops is None:
        return []
    batch, dtype = task.data.example(), policy(task.config.precision).compute_dtype
    found = task.model.flops(batch, dtype)
    tokens = batch["inputs"].size
    return [
        f"FLOPs      {si(found.total * tokens)}FLOP a step of {tokens:,} tokens, "
        f"{si(found.total)}FLOP a token, forward and backward: "
        f"{si(found.weights)}FLOP products with weights, {si(found.attention)}FLOP attention",
        f"           and {si(found.again)}FLOP a token are done twice, not to be kept; MFU does "
        "not count them",
        f"MFU        = tokens/s × {si(found.total)}FLOP / {_peak_in_words(found, tokens, dtype)}",
    ]


def _too_much(needed: int, memory: Memory, task: Task, *, comes_and_goes: bool) -> str:
    # What stays between the steps is the model's, what comes and goes the batch's.
    remedy = (
        "data.batch_size, or raise train.accumulate"
        if comes_and_goes
        else "the model, or take an optimizer that remembers less (the data count, too)"
    )
    if comes_and_goes and getattr(task.config.model, "remat", "full") != "full":
        remedy += ", or set model.remat=full"
    return (
        f"TOO MUCH   {as_bytes(needed)} are more than {memory.whose} has, "
        f"{as_bytes(memory.size)}: the run will most likely die; reduce {remedy}"
    )


def _peak_in_words(found: Flops, tokens: int, dtype: str) -> str:
    """What stands below the fraction, and the time of a step at half of it."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return "the device's peak"
    peak = peak_of(device.device_kind)
    if peak is None:
        return f"the device's peak; the peak of {device.device_kind} is not known here"
    said = f"{si(peak)}FLOP/s, the peak of {device.device_kind} in bfloat16"
    if dtype not in ("bfloat16", "float16"):
        return f"{said}; in {dtype}, as this run computes, it is less"
    return f"{said}: at 50 % a step takes {2 * found.total * tokens / peak:.3g} s"
