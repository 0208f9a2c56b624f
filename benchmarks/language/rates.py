"""Rates of frameworks that took turns: medians, and how many times as fast jaxtrain is.

    found = summary({"jaxtrain": [{"clock": 30.0, "processor": 20.0}], "transformers": [...]})
    found["times_as_fast"]["jaxtrain"]["transformers"]["clock"]

A rate is a number of things a second, by the clock and per second of processor time. On a machine
that others use as well the second says more, with one core above all, since threads that wait for
each other spin.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Rate = dict[str, float]
KINDS = ("clock", "processor")


class Trains(Protocol):
    """Whatever is trained step by step; each framework has one."""

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps."""

    def round(self, steps: int) -> Rate:
        """Tokens a second over so many steps."""


def tokens_per_second(training: Trains, tokens: int, seconds: float) -> dict[str, Any]:
    """The median of three rounds by the clock, behind one that warms up.

    Args:
        training: of one framework.
        tokens: a step.
        seconds: about how long a round is.
    """
    losses = training.first_losses(3)
    once = tokens / training.round(1)["clock"]
    steps = max(1, round(seconds / once))
    rates = [training.round(steps)["clock"] for _ in range(4)][1:]
    return {
        "tokens_per_second": statistics.median(rates),
        "rounds": rates,
        "steps_a_round": steps,
        "first_losses": losses,
    }


def summary(rounds: Mapping[str, Sequence[Rate]]) -> dict[str, Any]:
    """Medians of the rounds, and those of the ratios within the rounds.

    Args:
        rounds: by framework; ours have names that begin with "jaxtrain".

    Returns:
        `per_second` by framework, with its rounds; `times_as_fast` by our and their name;
        `faster_peer`, the name of that of the others which is the fastest by the clock, or None.

    >>> one = {"jaxtrain": [{"clock": 30.0, "processor": 20.0}]}
    >>> found = summary(one | {"transformers": [{"clock": 10.0, "processor": 5.0}]})
    >>> found["faster_peer"], found["times_as_fast"]
    ('transformers', {'jaxtrain': {'transformers': {'clock': 3.0, 'processor': 4.0}}})
    """
    medians = {
        name: {kind: statistics.median(one[kind] for one in measured) for kind in KINDS}
        for name, measured in rounds.items()
    }
    ours = [name for name in rounds if name.startswith("jaxtrain")]
    peers = [name for name in rounds if name not in ours]
    return {
        "per_second": {name: medians[name] | {"rounds": list(rounds[name])} for name in rounds},
        "times_as_fast": {
            name: {
                peer: {
                    kind: statistics.median(
                        a[kind] / b[kind] for a, b in zip(rounds[name], rounds[peer], strict=True)
                    )
                    for kind in KINDS
                }
                for peer in peers
            }
            for name in ours
        },
        "faster_peer": max(peers, key=lambda peer: medians[peer]["clock"], default=None),
    }


def rows(found: Mapping[str, Any]) -> list[str]:
    """What `summary` returned as lines; ratios are those over the fastest of the others."""
    lines = []
    for name, figures in found["per_second"].items():
        ratio = found["times_as_fast"].get(name, {}).get(found["faster_peer"])
        behind = f"   ({ratio['clock']:.2f}×, {ratio['processor']:.2f}×)" if ratio else ""
        lines.append(f"  {name:24}{figures['clock']:10,.0f}{figures['processor']:10,.0f}{behind}")
    return lines
