r"""What an adapter is to be: where, of which rank, how it begins.

    LoRAConfig(rank=16, alpha=32, targets=("q", "v"), rslora=True)
    LoRAConfig(targets=r"layers\.\d+\.mlp\..*", rank_pattern={"down": 32}, dropout=0.05)

Patterns see the names of modules, which are written as PEFT sees them: "layers.3.attention.q",
"Dense_0", "head"; see `jaxtrain.lora.targets`.

Axes: I inputs, O outputs, R rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

from jaxtrain.errors import ConfigError
from jaxtrain.varied import Static, Varied

Init = Literal["zero_b", "gaussian", "pissa"]
Pattern: TypeAlias = str | tuple[str, ...]
Pairs: TypeAlias = tuple[tuple[str, Any], ...]
"""A mapping as it is kept: pairs in the order given, so that a config can be hashed."""

ALL_LINEAR = "all-linear"


@dataclass(frozen=True, kw_only=True, eq=False)
class LoRAConfig(Static):
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) on the kernels of a parameter tree.

    Mappings and lists may be given where pairs and tuples are kept.

    Attributes:
        rank: R.
        alpha: the product of the two factors is scaled by alpha / R.
        targets: which modules. "all-linear" is every kernel but that of the output head, and no
            embedding; another string must match the whole name as a regular expression; of several
            strings one must be the name, or what it ends in behind a ".".
        exclude: which of them not, by the rules of `targets`.
        dropout: how much of the input of the low-rank branch is dropped in training.
        rslora: scale by alpha / sqrt(R) (Kalajdzievski 2023, arXiv:2312.03732).
        dora: train the norm of each output's weights apart (Liu et al. 2024, arXiv:2402.09353).
        init: "zero_b" draws a uniformly from +-1 / sqrt(I), "gaussian" with a standard deviation
            of 1 / R, b is zero; "pissa" begins with the R largest singular directions of the
            kernel, which then lacks them (Meng et al. 2024, arXiv:2404.02948).
        rank_pattern: other ranks, by the end of a module's name: a regular expression for all of
            it, or for what stands behind a ".". The first that matches counts.
        alpha_pattern: other alphas, likewise.
        layers: numbers of the layers to adapt; None is all, and what belongs to no layer.
        in_axes: how many axes of a kernel are inputs, by the end of the module's name as in
            `rank_pattern`, where neither shape nor name of the module says it.
        stacks: names of subtrees whose leaves lie stacked, a layer along the first axis.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: Pattern = ALL_LINEAR
    exclude: Pattern = ()
    dropout: float = 0.0
    rslora: bool = False
    dora: bool = False
    init: Init = "zero_b"
    rank_pattern: Mapping[str, int] | Pairs = ()
    alpha_pattern: Mapping[str, float] | Pairs = ()
    layers: tuple[int, ...] | None = None
    in_axes: Mapping[str, int] | Pairs = ()
    stacks: tuple[str, ...] = ("layers",)

    def __post_init__(self) -> None:
        for name in ("targets", "exclude"):
            self._keep(name, _patterns(name, getattr(self, name)))
        if not self.targets:
            raise ConfigError('targets: expected "all-linear", a pattern or names, found none')
        _check("rank", self.rank, int, 1)
        self._keep("alpha", _check("alpha", self.alpha, float, 0, above=True))
        for name, kind in (("rank_pattern", int), ("alpha_pattern", float), ("in_axes", int)):
            self._keep(name, _pairs(name, getattr(self, name), kind))
        # A float, so that members with other ones part: it stands in trees where JAX compares it.
        self._keep("dropout", float(_check("dropout", self.dropout, float, 0)))
        if not self.dropout < 1:
            raise ConfigError(f"dropout: expected less than 1, found {self.dropout}")
        for name in ("rslora", "dora"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: expected true or false, found {getattr(self, name)!r}")
        if self.init not in get_args(Init):
            raise ConfigError(
                f"init: expected one of {', '.join(get_args(Init))}, found {self.init!r}"
            )
        if self.layers is not None:
            self._keep("layers", _layers(self.layers))
        if isinstance(self.stacks, str) or not all(isinstance(s, str) for s in self.stacks):
            raise ConfigError(f"stacks: expected names of subtrees, found {self.stacks!r}")
        self._keep("stacks", tuple(self.stacks))

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def pairs(self, name: Literal["rank_pattern", "alpha_pattern", "in_axes"]) -> Pairs:
        """A mapping of this config as pairs of pattern and number."""
        return cast(Pairs, getattr(self, name))

    def rank_of(self, name: str) -> int:
        """The rank of a module."""
        return int(first_match(self.pairs("rank_pattern"), name, self.rank))

    def alpha_of(self, name: str) -> float:
        """The alpha of a module."""
        alpha: float = first_match(self.pairs("alpha_pattern"), name, self.alpha)
        return alpha

    def scale(self, rank: int, alpha: float) -> float:
        """What the product of the factors of a module is multiplied by.

        >>> LoRAConfig().scale(8, 16.0), LoRAConfig(rslora=True).scale(4, 16.0)
        (2.0, 8.0)
        """
        return alpha / (math.sqrt(rank) if self.rslora else rank)


def first_match(pairs: Pairs, name: str, otherwise: Any) -> Any:
    """The value of the first pattern that a module's name ends in, as PEFT finds it.

    >>> first_match((("q", 4), ("attention.q", 2)), "layers.0.attention.q", 8)
    4
    >>> first_match((("q", 4),), "layers.0.attention.seq", 8)
    8
    """
    return next((value for key, value in pairs if ends_in(key, name)), otherwise)


def ends_in(pattern: str, name: str) -> bool:
    """Whether all of a module's name, or what is behind one of its dots, matches a pattern."""
    return re.match(rf"(.*\.)?({pattern})$", name) is not None


def _check(name: str, value: Any, kind: type, least: float, *, above: bool = False) -> Any:
    """`value`, where it is a number of this kind in range."""
    fits = isinstance(value, int) if kind is int else isinstance(value, (int, float, Varied))
    if not fits or isinstance(value, bool):
        word = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}: expected {word}, found {value!r}")
    if not (value > least if above else value >= least) or not abs(value) < math.inf:
        more = f"more than {least}" if above else f"at least {least}"
        raise ConfigError(f"{name}: expected {more}, found {value}")
    return value if isinstance(value, Varied) else kind(value)


def _patterns(name: str, value: Any) -> Pattern:
    if isinstance(value, str):
        _compiles(name, value)
        return value
    if not isinstance(value, (tuple, list)) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{name}: expected a string or several, found {value!r}")
    return tuple(value)


def _pairs(name: str, value: Any, kind: type) -> Pairs:
    pairs = tuple(value.items()) if isinstance(value, Mapping) else tuple(value)
    for pair in pairs:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise ConfigError(f"{name}: expected a number by pattern, found {pair!r}")
        _compiles(name, pair[0])
    low, above = (0, True) if kind is float else (1, False)
    return tuple((key, _check(f"{name}[{key!r}]", v, kind, low, above=above)) for key, v in pairs)


def _compiles(name: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"{name}: {pattern!r} is no regular expression: {error}; names that are to be taken "
            "literally go into a list"
        ) from error


def _layers(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list, range)) or not value:
        raise ConfigError(f"layers: expected numbers of layers, or None for all, found {value!r}")
    return tuple(_check("layers", each, int, 0) for each in value)
