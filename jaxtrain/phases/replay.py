"""Rows of what was learnt before, among those of a phase; and what is wrong with them, in words.

    phases:
      korean: {data: {...}}
      medical: {data: {...}, replay: {share: 0.2, of: [korean]}}

The run of such a phase reads a mixture, whose parts are called like the phases that they are of.
Nobody has written that mixture: what is wrong with one of its parts is told by what was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pydantic

from jaxtrain.config.schema import Section

BASE = "base"


class Replay(Section):
    """Rows of what was learnt before, among those of a phase."""

    share: float = pydantic.Field(gt=0, lt=1)  # of the rows that the phase trains on
    of: tuple[str, ...] | None = None  # phases, or "base"; null: all that come before


def key_of_data(name: str) -> str:
    """The key of the data of a phase, or of the base.

    >>> key_of_data("base"), key_of_data("korean")
    ('base.data', 'phases.korean.data')
    """
    return f"{BASE}.data" if name == BASE else f"phases.{name}.data"


def in_words(error: object, phase: str, replayed: Sequence[str] = ()) -> str:
    """What is wrong with a phase, by its name and by the keys that somebody has written.

    Args:
        error: what its run says.
        phase: whose run that is; "base".
        replayed: what stands among its rows.

    >>> print(in_words("data.parts.base: is longer than two", "two", ["base"]))
    phase two: base.data, replayed: is longer than two (or leave base out of phases.two.replay.of)
    >>> print(in_words("data.parts.two.path: is not there", "two", ["base"]))
    phase two: phases.two.data.path: is not there
    >>> print(in_words("seed: expected a whole number", "two"))
    phase two: seed: expected a whole number
    """
    known = "|".join(map(re.escape, [phase, *replayed])) if replayed else ""
    lines = []
    for line in str(error).splitlines():
        found = re.match(rf"(?:data\.parts: )?data\.parts\.({known})(?=[.:])(.*)", line)
        if known and found:
            part, rest = found.groups()
            key, colon, what = rest.partition(":")
            if part == phase:
                line = f"{key_of_data(part)}{rest}"
            else:
                way = f"leave {part} out of phases.{phase}.replay.of"
                line = f"{key_of_data(part)}{key}, replayed{colon}{what} (or {way})"
        lines.append(f"phase {phase}: {line}")
    return "\n".join(lines)
