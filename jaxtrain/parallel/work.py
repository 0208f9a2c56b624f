"""How much a compiled program computes and moves, read off XLA's own text.

    work = work_of(jax.jit(step).lower(state, batch).compile())
    work.flops, work.bytes                       # of the products and convolutions of a call
    cost_of(compiled)                            # of all of it, as XLA counts, loops to their end

XLA's cost analysis takes a loop's body once, however often it runs. Here the rounds are counted, so
that a model with a loop over its layers costs what it costs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from jaxtrain.parallel.hlo import Hlo, Instruction, bytes_of, shapes_of

# What moves no byte, and what only runs others.
_IDLE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "opt-barrier", "after-all"),
    *("while", "call", "conditional", "async-start", "async-update", "partition-id", "replica-id"),
}


@dataclass(frozen=True)
class Work:
    """What a call of a program does on one device.

    Attributes:
        flops: floating-point operations.
        bytes: read and written.
        unknown_loops: loops that were counted once, since nothing says how often they run.
    """

    flops: float
    bytes: float
    unknown_loops: int = 0


def work_of(compiled: Any) -> Work:
    """Of the products and convolutions of a program, loops to their end.

    What stands between products is left out: a compiler that fuses all of it into them moves no
    byte more than this.

    Args:
        compiled: what `compile()` gave; or a text of XLA's; or an `Hlo`.
    """
    hlo = compiled if isinstance(compiled, Hlo) else Hlo.of(compiled)
    flops = moved = 0
    for line in hlo:
        if own := _flops(line, hlo):
            flops += hlo.times(line.computation) * own
            moved += hlo.times(line.computation) * _read_and_written(line, hlo)
    return Work(flops, moved, hlo.unknown_loops)


def cost_of(compiled: Any) -> Work | None:
    """XLA's cost analysis of a program, and what the later rounds of its loops add to it.

    Args:
        compiled: what `compile()` gave.

    Returns:
        The cost; None where the platform counts nothing.
    """
    counted = compiled.cost_analysis()
    if not counted or "flops" not in counted:
        return None
    hlo = Hlo.of(compiled)
    flops, moved = float(counted["flops"]), float(counted.get("bytes accessed", 0.0))
    for line in hlo:
        later = hlo.times(line.computation) - hlo.times_at_first(line.computation)
        if not later:
            continue
        flops += later * _flops(line, hlo)
        if line.computation not in hlo.fused:
            moved += later * _moved(line, hlo)
    return Work(flops, moved, hlo.unknown_loops)


# -- operations ------------------------------------------------------------------------------------


def _flops(line: Instruction, hlo: Hlo) -> int:
    """Two for each number that a product takes up; of what is no product, none."""
    if line.opcode == "dot":
        left = shapes_of(hlo.operand(line, 0).type)[0][1]
        summed = [left[axis] for axis in line.numbers("lhs_contracting_dims")]
        return 2 * _numbers(line) * math.prod(summed)
    if line.opcode == "convolution":
        kernel = shapes_of(hlo.operand(line, 1).type)[0][1]
        labels = re.search(r"dim_labels=\w+_(\w+)->", line.rest)
        assert labels is not None, line.rest
        return 2 * _numbers(line) * math.prod(kernel) // kernel[labels[1].index("o")]
    if line.opcode == "custom-call" and "gemm" in line.rest:  # as GPUs call cuBLAS
        axes = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', line.rest)
        left = shapes_of(hlo.operand(line, 0).type)[0][1]
        summed = [left[int(axis)] for axis in re.findall(r"\d+", axes[1])] if axes else []
        return 2 * _numbers(line) * math.prod(summed) if axes else 0
    return 0


def _numbers(line: Instruction) -> int:
    """Of the first array that it makes; others are room to work in."""
    return math.prod(shapes_of(line.type)[0][1])


# -- bytes -----------------------------------------------------------------------------------------


def _read_and_written(line: Instruction, hlo: Hlo) -> int:
    return line.bytes + sum(one.bytes for one in hlo.operands(line))


def _moved(line: Instruction, hlo: Hlo) -> int:
    """Bytes that a kernel reads and writes: of an array of which it takes a slice, the slice."""
    if line.opcode in _IDLE or line.opcode.endswith("-done"):
        return 0
    if line.opcode == "fusion":
        (body,) = line.named("calls")
        return _moved_by_fusion(hlo.computations[body], hlo)
    if line.opcode == "dynamic-slice":
        return 2 * line.bytes
    if line.opcode == "dynamic-update-slice":
        return 2 * hlo.operand(line, 1).bytes
    return _read_and_written(line, hlo)


def _moved_by_fusion(body: tuple[Instruction, ...], hlo: Hlo) -> int:
    moved = 0
    for line in body:
        if line.opcode == "parameter":
            readers = hlo.users(line)
            if all(_touches_a_part(reader, line) for reader in readers):
                # What an update writes is in its result; the rest of the array stays where it is.
                slices = (one for one in readers if one.opcode == "dynamic-slice")
                moved += sum(one.bytes for one in slices)
            else:
                moved += line.bytes
        elif line.is_root:
            moved += sum(_written(one, hlo) for one in _results(line, hlo))
    return moved


def _touches_a_part(reader: Instruction, array: Instruction) -> bool:
    parts = ("dynamic-slice", "dynamic-update-slice")
    return reader.opcode in parts and reader.operands[0] == array.name


def _results(root: Instruction, hlo: Hlo) -> list[Instruction]:
    return hlo.operands(root) if root.opcode == "tuple" else [root]


def _written(result: Instruction, hlo: Hlo) -> int:
    while result.opcode == "bitcast":
        result = hlo.operand(result, 0)
    if result.opcode == "dynamic-update-slice":
        return hlo.operand(result, 1).bytes
    return bytes_of(result.type)
