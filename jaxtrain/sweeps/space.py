"""What a sweep searches: for each key of the config, which values it may have.

    space = Space.of({"optimizer.learning_rate": {"log_uniform": [1e-4, 1e-1]}, "seed": [0, 1, 2]})
    space.draw(np.random.default_rng(0))          # {"optimizer.learning_rate": 0.0081, "seed": 2}

A list, or `grid` or `choice`, is its values; `uniform` and `log_uniform` lie between two numbers,
the second left out; `int` and `log_int` between two, both included.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jaxtrain.errors import ConfigError, did_you_mean

Kind = Literal["choice", "uniform", "log_uniform", "int", "log_int"]

OF_ALL = (
    "project",
    "workdir",
    "plugins",
    "device",
    "mesh",
    "distributed",
    "tracking",
    "checkpoint.monitor",
    "checkpoint.mode",
)
"""What can't vary, nor what is around or inside of it: the members of a sweep share it."""

_KINDS = ("grid", "choice", "uniform", "log_uniform", "int", "log_int")


@dataclass(frozen=True)
class Distribution:
    """The values of one key.

    Args:
        kind: "choice" of `values`, or between `low` and `high`.
        values: of a choice; empty otherwise.
        low: the smallest.
        high: the largest, or what a float stays below.
    """

    kind: Kind
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, key: str, given: Any) -> Distribution:
        """The distribution that a file means.

        Raises:
            ConfigError: naming the key, what was expected and what was found.
        """
        if isinstance(given, Sequence) and not isinstance(given, str):
            given = {"choice": given}
        if not isinstance(given, Mapping) or len(given) != 1:
            raise ConfigError(
                f"space.{key}: expected a list of values, or one of {', '.join(_KINDS)}, "
                f"found {given!r}"
            )
        ((kind, values),) = given.items()
        if kind not in _KINDS:
            raise ConfigError(
                f"space.{key}: expected one of {', '.join(_KINDS)}, found {kind!r}"
                f"{did_you_mean(kind, _KINDS)}"
            )
        if not isinstance(values, Sequence) or isinstance(values, str) or not len(values):
            raise ConfigError(f"space.{key}.{kind}: expected a list, found {values!r}")
        plain = tuple(_plain(value) for value in values)
        if kind in ("grid", "choice"):
            if len({repr(value) for value in plain}) < len(plain):
                raise ConfigError(f"space.{key}.{kind}: a value stands there twice: {plain!r}")
            return cls("choice", plain)
        low, high = _bounds(f"space.{key}.{kind}", kind, plain)
        return cls(kind, (), low, high)

    def draw(self, rng: np.random.Generator) -> Any:
        """A value of it."""
        if self.kind == "choice":
            return self.values[int(rng.integers(len(self.values)))]
        if self.kind == "int":
            return int(rng.integers(int(self.low), int(self.high) + 1))
        if self.kind == "uniform":
            return float(rng.uniform(self.low, self.high))
        if self.kind == "log_int":
            drawn = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
            return int(min(max(round(drawn), self.low), self.high))
        return float(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))

    def end(self, turn: int) -> Any:
        """The values of a choice in turn; of a range the smallest and the largest in turn."""
        if self.kind == "choice":
            return self.values[turn % len(self.values)]
        if turn % 2 == 0:
            return self.low
        return self.high if self.kind.endswith("int") else math.nextafter(self.high, self.low)

    def to_json(self) -> dict[str, Any]:
        """As a file has it."""
        if self.kind == "choice":
            return {"choice": [list(v) if isinstance(v, tuple) else v for v in self.values]}
        return {self.kind: [self.low, self.high]}


@dataclass(frozen=True)
class Space:
    """Every key that is searched over, in the order of the file."""

    keys: Mapping[str, Distribution]

    @classmethod
    def of(cls, given: Any) -> Space:
        """The space that a file means.

        Raises:
            ConfigError: what is wrong with it.
        """
        if not isinstance(given, Mapping) or not given:
            raise ConfigError(
                f"space: expected keys of the config and their values, found {given!r}"
            )
        for key in given:
            _refuse_key(str(key), [str(other) for other in given if other != key])
        return cls({str(key): Distribution.of(str(key), value) for key, value in given.items()})

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """A value of each key."""
        return {key: distribution.draw(rng) for key, distribution in self.keys.items()}

    def ends(self) -> list[dict[str, Any]]:
        """Members at both ends of each range, and at each value of each choice; as few as do."""
        turns = max(2, *(len(distribution.values) for distribution in self.keys.values()))
        return [
            {key: distribution.end(turn) for key, distribution in self.keys.items()}
            for turn in range(turns)
        ]

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every combination, the last key changing fastest.

        Raises:
            ConfigError: a key has no list of values.
        """
        for key, distribution in self.keys.items():
            if distribution.kind != "choice":
                raise ConfigError(
                    f"space.{key}: a grid is made of lists, found {distribution.kind}; list its "
                    "values, or take search: random"
                )
        lists = [distribution.values for distribution in self.keys.values()]
        for values in itertools.product(*lists):
            yield dict(zip(self.keys, values, strict=True))

    def to_json(self) -> dict[str, Any]:
        """As a file has it."""
        return {key: distribution.to_json() for key, distribution in self.keys.items()}


def _refuse_key(key: str, others: Sequence[str]) -> None:
    if not all(key.split(".")):
        raise ConfigError(
            f"space: expected a dotted key, as optimizer.learning_rate, found {key!r}"
        )
    for shared in OF_ALL:
        if _is_inside(key, shared) or _is_inside(shared, key):
            raise ConfigError(f"space.{key}: can't vary: all members of a sweep share {shared}")
    for other in others:
        if _is_inside(key, other):
            raise ConfigError(f"space.{key}: is inside of {other}, which varies too; leave one out")


def _is_inside(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.")


def _plain(value: Any) -> Any:
    return tuple(_plain(v) for v in value) if isinstance(value, list | tuple) else value


def _bounds(key: str, kind: str, values: tuple[Any, ...]) -> tuple[float, float]:
    whole = kind.endswith("int")
    numbers = all(
        isinstance(v, int if whole else float | int) and not isinstance(v, bool) for v in values
    )
    what = "two whole numbers" if whole else "two numbers"
    if len(values) != 2 or not numbers or not all(map(math.isfinite, values)):
        raise ConfigError(f"{key}: expected {what}, found {list(values)}")
    low, high = values
    if not low < high:
        raise ConfigError(f"{key}: expected the smaller one first, found {list(values)}")
    if kind.startswith("log") and low <= 0:
        raise ConfigError(f"{key}: a logarithm wants numbers above 0, found {list(values)}")
    return low, high
