"""The fewest words from which a choice of modules follows, and no other.

    describe({"layers.0.q": (8, 16.0), "layers.1.q": (4, 16.0)}, follows=...)
    # Rules(targets=("q",), rank=8, alpha=16.0, rank_pattern=(("^layers\\.1\\.q", 4),))

A config speaks of modules by patterns, in names of its own; which modules it means depends on what
else there is. So what is written down is made of the choice, and tried.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from jaxtrain.lora.config import Pairs
from jaxtrain.lora.peft.rules import Chosen, Rules
from jaxtrain.lora.targets import layer_of


def describe(chosen: Chosen, follows: Callable[[Rules], bool], *, listed: bool = False) -> Rules:
    """Rules from which `chosen` follows.

    Args:
        chosen: modules with their ranks and alphas; one at least.
        follows: whether just this choice follows from some rules, among all the modules there are.
        listed: name modules in a list where each has to be named, rather than by one pattern. A
            list also takes what ends in a name behind a ".".

    Returns:
        Targets by the last part of their names, in some layers, where just those follow; else by
        whole names.
    """
    rank, rank_pattern = _common({name: rank for name, (rank, _) in chosen.items()})
    alpha, alpha_pattern = _common({name: alpha for name, (_, alpha) in chosen.items()})
    for given in _targets(chosen):
        rules = Rules(
            **given,
            rank=rank,
            alpha=alpha,
            rank_pattern=rank_pattern,
            alpha_pattern=alpha_pattern,
        )
        if follows(rules):
            return rules
    return Rules(
        targets=tuple(chosen) if listed else "|".join(map(re.escape, chosen)),
        rank=rank,
        alpha=alpha,
        rank_pattern=rank_pattern,
        alpha_pattern=alpha_pattern,
    )


def exactly(name: str) -> str:
    r"""A key of a rank or alpha pattern that matches this name and no longer one.

    >>> exactly("Dense_0.out")
    '^Dense_0\\.out'
    """
    return f"^{re.escape(name)}"


def _targets(chosen: Chosen) -> Iterator[dict[str, Any]]:
    ends = tuple(sorted({name.split(".")[-1] for name in chosen}))
    yield {"targets": ends}
    layers = {layer_of(name) for name in chosen}
    if None not in layers:
        yield {"targets": ends, "layers": tuple(sorted(n for n in layers if n is not None))}


def _common(values: dict[str, Any]) -> tuple[Any, Pairs]:
    """The value of the most, and those of the others: by last part where all of it have one."""
    counted = Counter(values.values())
    usual = max(counted, key=lambda value: (counted[value], -value))
    pairs: list[tuple[str, Any]] = []
    ends: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        ends.setdefault(name.split(".")[-1], {})[name] = value
    for end, own in ends.items():
        if len(set(own.values())) == 1:
            value = next(iter(own.values()))
            pairs += [(re.escape(end), value)] if value != usual else []
        else:
            pairs += [(exactly(name), value) for name, value in own.items() if value != usual]
    return usual, tuple(pairs)
