"""A program as XLA writes it down: its instructions, and how often a call runs each.

    hlo = Hlo.of(jax.jit(step).lower(state, batch).compile())
    for instruction in hlo:
        instruction.opcode, instruction.times          # "all-gather", 16: once in each of 16 rounds

A loop runs its body as often as XLA says, or as its condition counts; where neither tells, once,
and `unknown_loops` is how many of those there are. Both branches of a condition count as run.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jaxtrain.errors import DataError

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) ?(\(.*)?\{$")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+[a-z0-9]*)\[([\d,<=]*)\]")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
# What runs a computation as a part of the program; a reduction's sum is a part of the reduction.
_RUN_BY = {
    "while": ("body",),
    "call": ("to_apply",),
    "fusion": ("calls",),
    "async-start": ("calls",),
    "conditional": ("true_computation", "false_computation", "branch_computations"),
}


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: of what it makes.
        opcode: what it does.
        type: of what it makes, as it is written.
        operands: names, in the same computation.
        rest: what is written behind the operands.
        computation: in which it stands.
        is_root: whether its result is that of its computation.
    """

    name: str
    opcode: str
    type: str
    operands: tuple[str, ...]
    rest: str
    computation: str
    is_root: bool

    @property
    def bytes(self) -> int:
        """Of what it makes; of a tuple, all of it."""
        return bytes_of(self.type)

    @property
    def op_name(self) -> str:
        """What of the user's program it was made for."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found[1] if found else ""

    def named(self, key: str) -> tuple[str, ...]:
        """The computations that are written behind `key=`."""
        found = re.search(rf"\b{key}=(?:\{{([^}}]*)\}}|(%?[\w.\-]+))", self.rest)
        if found is None:
            return ()
        return tuple(name.strip().lstrip("%") for name in (found[1] or found[2]).split(","))

    def numbers(self, key: str) -> tuple[int, ...]:
        """The numbers that are written as `key={1,2}`; none where nothing is."""
        found = re.search(rf"\b{key}=\{{([\d,]*)\}}", self.rest)
        return tuple(map(int, found[1].split(","))) if found and found[1] else ()


@dataclass(frozen=True)
class Hlo:
    """A module.

    Attributes:
        computations: instructions by the name of their computation, the entry last.
        entry: the computation that a call begins with.
        devices: over how many it is partitioned.
    """

    computations: dict[str, tuple[Instruction, ...]]
    entry: str
    devices: int = 1

    @classmethod
    def of(cls, source: Any) -> Hlo:
        """Read a module.

        Args:
            source: what `compile()` gave, or a text of XLA's.

        Raises:
            DataError: it is no module, or the platform does not show it.
        """
        text = source if isinstance(source, str) else source.as_text()
        if not isinstance(text, str):
            raise DataError("the compiled program has no text on this platform")
        found: dict[str, list[Instruction]] = {}
        entry, own = "", None
        for line in text.splitlines():
            if head := _HEAD.match(line):
                own = found.setdefault(head[2], [])
                entry = head[2] if head[1] else entry
            elif line == "}":
                own = None
            elif own is not None and (parts := _LINE.match(line)):
                own.append(_instruction(parts, next(reversed(found))))
        if not entry:
            raise DataError(f"expected a module of XLA's, with an ENTRY; found {text[:80]!r}")
        counts = re.findall(r"\b(?:num_partitions|replica_count)=(\d+)", text.partition("\n")[0])
        computations = {name: tuple(lines) for name, lines in found.items()}
        return cls(computations, entry, math.prod(int(count) for count in counts))

    def __iter__(self) -> Iterator[Instruction]:
        """All that a call runs, what stands in fusions included."""
        for name, lines in self.computations.items():
            if self.times(name):
                yield from lines

    def times(self, computation: str) -> int:
        """How often a call of the module runs a computation."""
        return self._times[computation]

    def times_at_first(self, computation: str) -> int:
        """How often, were each loop over after its first round: so XLA's cost analysis counts."""
        return self._times_at_first[computation]

    @cached_property
    def unknown_loops(self) -> int:
        """Loops of which nobody knows how often they run: they count once."""
        loops = (line for line in self if line.opcode == "while")
        return sum(self._rounds(line) is None for line in loops)

    @cached_property
    def fused(self) -> frozenset[str]:
        """Computations that are parts of one kernel."""
        inside: set[str] = set()
        for name in reversed(self.computations):
            for line in self.computations[name]:
                if line.opcode == "fusion" or name in inside:
                    inside.update(*(line.named(key) for key in _RUN_BY.get(line.opcode, ())))
        return frozenset(inside)

    def operand(self, instruction: Instruction, number: int) -> Instruction:
        """What made an operand."""
        return self._by_name[instruction.computation][instruction.operands[number]]

    def operands(self, instruction: Instruction) -> list[Instruction]:
        """What made all of them."""
        return [self.operand(instruction, number) for number in range(len(instruction.operands))]

    def users(self, instruction: Instruction) -> list[Instruction]:
        """What reads it."""
        return self._users[instruction.computation].get(instruction.name, [])

    @cached_property
    def _by_name(self) -> Mapping[str, Mapping[str, Instruction]]:
        return {
            name: {line.name: line for line in lines} for name, lines in self.computations.items()
        }

    @cached_property
    def _users(self) -> Mapping[str, Mapping[str, list[Instruction]]]:
        found: dict[str, dict[str, list[Instruction]]] = {}
        for name, lines in self.computations.items():
            readers = found[name] = defaultdict(list)
            for line in lines:
                for operand in set(line.operands):
                    readers[operand].append(line)
        return found

    @cached_property
    def _times(self) -> Mapping[str, int]:
        return self._counted(self._rounds)

    @cached_property
    def _times_at_first(self) -> Mapping[str, int]:
        return self._counted(lambda loop: 1)

    def _counted(self, rounds: Callable[[Instruction], int | None]) -> Mapping[str, int]:
        times = dict.fromkeys(self.computations, 0) | {self.entry: 1}
        # What is run stands before what runs it.
        for name in reversed(self.computations):
            for line in self.computations[name] if times[name] else ():
                again = rounds(line) if line.opcode == "while" else 1
                for key in _RUN_BY.get(line.opcode, ()):
                    for callee in line.named(key):
                        times[callee] += times[name] * (1 if again is None else again)
        return times

    def _rounds(self, loop: Instruction) -> int | None:
        """How often a loop runs: as XLA has noted, or as a loop of `scan` counts, from 0 by 1."""
        if noted := _TRIPS.search(loop.rest):
            return int(noted[1])
        test = self._root(*loop.named("condition"))
        if test.opcode != "compare" or "direction=LT" not in test.rest:
            return None
        counter, bound = self.operands(test)
        place = re.search(r"\bindex=(\d+)", counter.rest)
        begin, after = self.operand(loop, 0), self._root(*loop.named("body"))
        if not (place and begin.opcode == after.opcode == "tuple"):
            return None
        begins, next_ = (self.operand(one, int(place[1])) for one in (begin, after))
        adds = [_constant(one) for one in self.operands(next_)] if next_.opcode == "add" else []
        return _constant(bound) if _constant(begins) == 0 and 1 in adds else None

    def _root(self, computation: str) -> Instruction:
        return next(line for line in self.computations[computation] if line.is_root)


def shapes_of(type_: str) -> list[tuple[str, tuple[int, ...]]]:
    """The arrays of a type: what each is of, and its axes.

    >>> shapes_of("(f32[8,64]{1,0}, s32[])")
    [('f32', (8, 64)), ('s32', ())]
    """
    return [
        (kind, tuple(int(size.lstrip("<=")) for size in axes.split(",")) if axes else ())
        for kind, axes in _ARRAY.findall(type_)
    ]


def bytes_of(type_: str) -> int:
    """Bytes of all arrays of a type.

    >>> bytes_of("bf16[8,64]{1,0}"), bytes_of("(pred[3], s4[3])")
    (1024, 5)
    """
    return sum(-(-math.prod(axes) * _bits(kind) // 8) for kind, axes in shapes_of(type_))


def _constant(line: Instruction) -> int | None:
    """The whole number that it is; None where it is something else."""
    number = re.match(r"\((\d+)\)", line.rest) if line.opcode == "constant" else None
    return int(number[1]) if number else None


def _bits(kind: str) -> int:
    digits = re.search(r"\d+", kind)
    return int(digits[0]) if digits else 8  # pred


def _instruction(parts: re.Match[str], computation: str) -> Instruction:
    text = re.sub(r"/\*.*?\*/", "", parts[3])
    end = _closing(text) if text.startswith("(") else text.index(" ")
    type_, text = text[:end], text[end:].lstrip()
    opcode, _, _ = text.partition("(")
    close = _closing(text)
    inside = text[len(opcode) + 1 : close - 1]
    # A constant's and a parameter's are no names; they are kept with the rest.
    plain = opcode in ("constant", "parameter", "iota")
    operands = () if plain else tuple(map(_name, _split(inside)))
    rest = text[len(opcode) :] if plain else text[close:]
    return Instruction(parts[2], opcode, type_, operands, rest, computation, bool(parts[1]))


def _name(operand: str) -> str:
    """The last word; what stands before it is its type."""
    return operand.split()[-1].lstrip("%")


def _closing(text: str) -> int:
    """The place behind the parenthesis that closes the first one."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and depth == 0:
            return place + 1
    raise DataError(f"expected an instruction of XLA's, found {text[:80]!r}")


def _split(inside: str) -> list[str]:
    """At commas that stand in no brackets."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(inside):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(inside[begin:place])
            begin = place + 1
    parts.append(inside[begin:])
    return [part for part in parts if part.strip()]
