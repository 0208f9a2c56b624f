"""What devices say to each other in a compiled program: read off XLA's own text.

    compiled = jax.jit(step).lower(state, batch).compile()
    for one in collectives_of(compiled):
        one.kind, one.count, one.bytes, one.parts      # "all-reduce", 1, 4096, 8

    reduced = [one for one in collectives_of(compiled) if one.kind == "all-reduce"]
    sum(one.count * one.bytes for one in reduced)      # of all that is summed over devices

What stands in a loop counts as often as the loop runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from jaxtrain.errors import DataError
from jaxtrain.parallel.hlo import Hlo, Instruction

# Bytes that each device sends over a ring of n, of each byte of the whole array.
_SENT = {
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "all-gather": lambda n: (n - 1) / n,
    "reduce-scatter": lambda n: (n - 1) / n,
    "all-to-all": lambda n: (n - 1) / n,
    "ragged-all-to-all": lambda n: (n - 1) / n,
    "collective-permute": lambda n: 1.0,
    "collective-broadcast": lambda n: 1.0,
}
# What may stand between a sum and the slice that is kept of it: another form of the same numbers.
_SAME_NUMBERS = ("reshape", "bitcast", "copy", "transpose", "convert")


@dataclass(frozen=True)
class Collective:
    """One kind of talk between devices, as a call of the program has it.

    Attributes:
        kind: as XLA calls it: all-reduce, all-gather, reduce-scatter, all-to-all,
            collective-permute, ...
        count: how often a call does it.
        bytes: of the whole, once: what is summed, or what is there when all have gathered.
        parts: how many devices do it together.
        members: which, in one of the groups, by number; of those that send to each other in pairs,
            the two that are furthest apart.
        arrays: how many it takes together.
        name: what of the user's program it was made for.
    """

    kind: str
    count: int
    bytes: int
    parts: int
    members: tuple[int, ...]
    arrays: int = 1
    name: str = ""

    @property
    def sent(self) -> float:
        """Bytes that each device sends in a call of the program, by the best that a ring can do.

        (n - 1)/n of the bytes for a gather or a scatter and twice that for an all-reduce, which is
        both of them (Patarasu and Yuan, Bandwidth optimal all-reduce algorithms, 2009).
        """
        return self.count * self.bytes * float(_SENT[self.kind](self.parts))


def collectives_of(compiled: Any, *, scattered: bool = False) -> list[Collective]:
    """All collectives of a program, one for each instruction.

    Args:
        compiled: what `compile()` gave; or a text of XLA's; or an `Hlo`.
        scattered: take an all-reduce of which each device keeps its slice alone for what GPUs and
            TPUs make of it, a reduce-scatter. The CPU's compiler leaves it as it is.

    Raises:
        DataError: a group of devices is written in a way that is not known here.
    """
    hlo = compiled if isinstance(compiled, Hlo) else Hlo.of(compiled)
    found = []
    for line in hlo:
        kind = line.opcode.removesuffix("-start")
        if kind not in _SENT:
            continue
        members = _members(line, hlo)
        if len(members) < 2:
            continue
        size = sum(one.bytes for one in hlo.operands(line))
        if kind == "all-gather":
            size *= len(members)
        elif kind == "all-reduce" and scattered and _is_sliced(line, hlo):
            kind = "reduce-scatter"
        found.append(
            Collective(
                kind=kind,
                count=hlo.times(line.computation),
                bytes=size,
                parts=len(members),
                members=members,
                arrays=len(line.operands),
                name=line.op_name,
            )
        )
    return found


def summed(collectives: Iterable[Collective]) -> list[Collective]:
    """One for all of a kind among as many devices; `count` of each is how often any is done.

    `bytes` is the mean of one, so that `count * bytes` stays what it was to a byte each.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[Collective]] = {}
    for one in collectives:
        groups.setdefault((one.kind, one.members), []).append(one)
    made = []
    for same in groups.values():
        count = sum(one.count for one in same)
        total = sum(one.count * one.bytes for one in same)
        arrays = sum(one.count * one.arrays for one in same)
        made.append(
            replace(
                same[0], count=count, bytes=round(total / count), arrays=arrays // count, name=""
            )
        )
    return sorted(made, key=lambda one: -one.count * one.bytes)


def _is_sliced(line: Instruction, hlo: Hlo) -> bool:
    """Whether each device reads a slice of it, and nothing else does."""
    readers = hlo.users(line)
    return bool(readers) and all(
        reader.opcode == "dynamic-slice"
        or (reader.opcode in _SAME_NUMBERS and _is_sliced(reader, hlo))
        for reader in readers
    )


# -- groups of devices -----------------------------------------------------------------------------


def _members(line: Instruction, hlo: Hlo) -> tuple[int, ...]:
    """The devices of the first group, or of the widest pair."""
    if pairs := re.search(r"source_target_pairs=\{(.*?)\}\}", line.rest):
        ends = [sorted(map(int, pair.split(","))) for pair in re.findall(r"\d+,\d+", pairs[1])]
        one, other = max(ends, key=lambda pair: pair[1] - pair[0])
        return (one, other) if one != other else (one,)
    found = re.search(
        r"replica_groups=(\{\{.*?\}\}|\{\}|mesh\[.*?\](?:, device_ids=\(.*?\))? \{.*?\}|\[\S+)",
        line.rest,
    )
    if found is None:
        raise _unknown(line)
    text = found[1].rstrip(",")
    if text == "{}":
        return tuple(range(hlo.devices))
    if text.startswith("{{"):
        return tuple(map(int, text[2:].partition("}")[0].split(",")))
    if text.startswith("mesh["):
        return _of_axes(text, line)
    return _of_iota(text, line)


def _of_axes(text: str, line: Instruction) -> tuple[int, ...]:
    """mesh['x'=4,'y'=4], device_ids=([4,4]T(1,0)) {'x','y':(2)2}: equal in all but these axes.

    'y':(2)2 is the middle one of three axes that y is cut into: two parts, with two before them.
    """
    whole = re.fullmatch(r"mesh\[([^\]]*)\](?:, device_ids=\((.*?)\))? \{(.*)\}", text)
    if whole is None:
        raise _unknown(line)
    sizes = [(name, int(size)) for name, size in re.findall(r"'([^']*)'=(\d+)", whole[1])]
    named = dict(re.findall(r"'([^']*)'(?::(\(\d+\)\d+))?", whole[3]))
    count = step = math.prod(size for _, size in sizes)
    members = [0]
    for name, size in sizes:
        step //= size
        if name in named:
            before, places = map(int, re.findall(r"\d+", named[name] or f"(1){size}"))
            apart = step * (size // (before * places))
            members = [start + apart * place for start in members for place in range(places)]
    devices = _devices(whole[2], count, line)
    return tuple(devices[place] for place in members)


def _devices(order: str | None, count: int, line: Instruction) -> list[int]:
    """The devices of a mesh, in its order: 0, 1, 2, ... where nothing is said."""
    if not order:
        return list(range(count))
    if re.fullmatch(r"[\d,]+", order):
        return list(map(int, order.split(",")))
    return list(_of_iota(f"[1,{count}]<={order}", line))


def _of_iota(text: str, line: Instruction) -> tuple[int, ...]:
    """[4,2]<=[2,4]T(1,0): all devices in order, reshaped, transposed, and reshaped to groups."""
    whole = re.fullmatch(r"\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text)
    if whole is None:
        raise _unknown(line)
    groups, axes = (tuple(map(int, whole[place].split(","))) for place in (1, 2))
    order = tuple(map(int, whole[3].split(","))) if whole[3] else tuple(range(len(axes)))
    steps = [math.prod(axes[axis + 1 :]) for axis in order]
    sizes = [axes[axis] for axis in order]
    members = []
    for number in range(groups[-1]):
        left, place = number, 0
        for step, size in zip(reversed(steps), reversed(sizes), strict=True):
            left, at = divmod(left, size)
            place += step * at
        members.append(place)
    return tuple(members)


def _unknown(line: Instruction) -> DataError:
    return DataError(
        f"{line.opcode} {line.name}: its groups of devices are written in a way that is not known "
        f"here: {line.rest[:200]}"
    )
