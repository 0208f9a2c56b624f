"""Which kernels of a parameter tree an adapter is for, and what patterns call them.

    for target in find_targets(params, LoRAConfig(targets=("q", "v"))):
        target.path                      # "layers/attention/q/kernel"
        target.names                     # ("layers.0.attention.q", "layers.1.attention.q", ...)

A module is known by the path of its kernel with "." between the parts and without the last one,
"kernel" or "embedding". Where layers lie stacked, the number of the layer is written behind the
name of the stack, so that each has the name that it would have by itself.

Axes: N layers of a stack, I inputs, O outputs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.lora.config import ALL_LINEAR, LoRAConfig, Pattern, ends_in, first_match
from jaxtrain.models.quantized import is_quantized
from jaxtrain.varied import Static

HEADS = ("head", "lm_head", "output_head", "logits")
"""What "all-linear" takes for an output head, by the last part of its name."""

_KINDS = ("kernel", "embedding")
_BOXES = ("value", "raw_value")
"""What NNX variables and boxed Linen parameters put behind the name of a leaf."""
_ATTENTION = {"query": 1, "key": 1, "value": 1, "out": 2}
"""Input axes of the three-dimensional kernels of Flax's attention."""
_SHOWN = 30


@dataclass(frozen=True, eq=False)
class Target(Static):
    """A kernel with an adapter, or a stack of kernels of which some have one.

    Attributes:
        path: of the leaf, parts joined by "/".
        names: of the module of each layer; one where there is no stack.
        ranks: of each layer; 0 where it has no adapter.
        alphas: of each layer, likewise.
        stacked: whether layers lie along the first axis.
        in_axes: how many axes of a layer's kernel are inputs; the others are outputs.
        embedding: whether it is looked up instead of multiplied with.
    """

    path: str
    names: tuple[str, ...]
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    stacked: bool
    in_axes: int
    embedding: bool

    @property
    def rank(self) -> int:
        """The largest of the ranks, to which the factors of a stack are padded."""
        return max(self.ranks)

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading axes of the factors: `(N,)` in a stack, else `()`."""
        return (len(self.names),) if self.stacked else ()

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(I, O) of a kernel of this shape."""
        own = shape[len(self.lead) :]
        return math.prod(own[: self.in_axes]), math.prod(own[self.in_axes :])


def find_targets(params: Any, config: LoRAConfig) -> tuple[Target, ...]:
    """The targets of `config` among the leaves of `params`, in tree order.

    Args:
        params: a tree of arrays, or of whatever has a shape and a dtype.
        config: what is to be adapted.

    Raises:
        ConfigError: a pattern, name or layer that matches nothing, with the candidates; or a kernel
            of which nobody can tell what its inputs are.
    """
    kernels = find_kernels(params, config.stacks)
    every = [name for kernel in kernels for name in kernel.names]
    if not every:
        raise ConfigError(
            'targets: no leaf of the parameters is called "kernel" or "embedding"; found '
            + ", ".join(list(leaves_by_path(params))[:_SHOWN])
        )
    wanted = {
        name
        for kernel in kernels
        for name in kernel.names
        if _is_target(name, kernel, config) and not _matches(config.exclude, name)
    }
    _refuse_unmatched(config, kernels, every)
    if not wanted:
        raise ConfigError(
            f"targets: {_told(config)} leave nothing to adapt; the modules are\n  " + _listed(every)
        )
    patterns: tuple[Literal["rank_pattern", "alpha_pattern"], ...] = (
        "rank_pattern",
        "alpha_pattern",
    )
    for field in patterns:
        for key, _ in config.pairs(field):
            if not any(ends_in(key, name) for name in wanted):
                raise ConfigError(
                    f"{field}: {key!r} matches no module with an adapter; these are\n  "
                    + _listed(sorted(wanted, key=every.index))
                )
    return tuple(_target(k, wanted, config) for k in kernels if wanted & set(k.names))


def leaves_by_path(tree: Any) -> dict[str, Any]:
    """The leaves by path, parts joined by "/".

    >>> leaves_by_path({"Dense_0": {"kernel": 1, "bias": 2}})
    {'Dense_0/bias': 2, 'Dense_0/kernel': 1}
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_quantized)
    return {jax.tree_util.keystr(p, simple=True, separator="/"): leaf for p, leaf in leaves}


def with_leaves(tree: Any, new: Mapping[str, Any]) -> Any:
    """`tree` with other leaves at some paths; the others are the same objects.

    >>> with_leaves({"a": {"kernel": 1}, "b": {"kernel": 2}}, {"a/kernel": 3})
    {'a': {'kernel': 3}, 'b': {'kernel': 2}}

    Raises:
        ConfigError: a path that the tree does not have.
    """
    here = leaves_by_path(tree)
    for path in new:
        if path not in here:
            raise ConfigError(
                f"the adapter has a kernel {path!r} that the parameters have not"
                f"{did_you_mean(path, here)}; it was made for another model"
            )
    leaves = [new.get(path, leaf) for path, leaf in here.items()]
    return jax.tree.unflatten(jax.tree.structure(tree, is_leaf=is_quantized), leaves)


@dataclass(frozen=True)
class Kernel:
    """A leaf that could have an adapter.

    Attributes:
        path: of the leaf, parts joined by "/".
        names: of the module of each layer; one where there is no stack.
        shape: of the leaf.
        stacked: whether layers lie along the first axis.
        embedding: whether it is looked up instead of multiplied with.
    """

    path: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    stacked: bool
    embedding: bool

    @property
    def layer_shape(self) -> tuple[int, ...]:
        """Of the kernel of one layer."""
        return self.shape[1:] if self.stacked else self.shape

    @property
    def is_convolution(self) -> bool:
        """Whether it is one, by its axes or its name: all but the last axis are inputs."""
        axes = len(self.layer_shape)
        named = "conv" in self.names[0].split(".")[-1].lower()
        return not self.embedding and (axes > 3 or (axes == 3 and named))

    @property
    def in_axes(self) -> int | None:
        """How many axes are inputs, where shape or name say it."""
        axes, last = len(self.layer_shape), self.names[0].split(".")[-1]
        if axes == 2 or self.embedding:
            return 1
        if axes == 3 and last in _ATTENTION:
            return _ATTENTION[last]
        return axes - 1 if self.is_convolution else None


def find_kernels(params: Any, stacks: Sequence[str] = ("layers",)) -> list[Kernel]:
    """All leaves that could have an adapter, in tree order.

    Args:
        params: a tree of arrays, or of whatever has a shape.
        stacks: names of subtrees whose leaves lie stacked.
    """
    found = {path: tuple(np.shape(leaf)) for path, leaf in leaves_by_path(params).items()}
    at_stacks = _stacks(found, stacks)
    kernels = []
    for path, shape in found.items():
        *module, kind = _parts(path)
        if kind not in _KINDS:
            continue
        depth = next((len(s) for s in at_stacks if tuple(module[: len(s)]) == s), 0)
        names: tuple[str, ...] = (".".join(module),)
        if depth:
            before, behind = module[:depth], module[depth:]
            names = tuple(".".join([*before, str(i), *behind]) for i in range(shape[0]))
        if len(shape) - bool(depth) >= 2:
            kernels.append(Kernel(path, names, shape, bool(depth), kind == "embedding"))
    return kernels


def _parts(path: str) -> list[str]:
    """The parts of a leaf's path, without the box that it lies in."""
    parts = path.split("/")
    return parts[:-1] if len(parts) > 1 and parts[-1] in _BOXES and parts[-2] in _KINDS else parts


def _stacks(shapes: Mapping[str, tuple[int, ...]], stacks: Sequence[str]) -> list[tuple[str, ...]]:
    """The subtrees that are called like a stack and can be one: all leaves have N along the first
    axis, and each kernel is one of two axes or more without it.
    """
    below: dict[tuple[str, ...], list[tuple[bool, tuple[int, ...]]]] = {}
    for path, shape in shapes.items():
        parts = _parts(path)
        for depth in range(1, len(parts) - 1):
            at = tuple(parts[:depth])
            if _matches(tuple(stacks), ".".join(at)):
                below.setdefault(at, []).append((parts[-1] in _KINDS, shape))
                break
    return [
        at
        for at, leaves in below.items()
        if all(shape[:1] == leaves[0][1][:1] and shape for _, shape in leaves)
        and all(len(shape) >= 3 for is_kernel, shape in leaves if is_kernel)
        and any(is_kernel for is_kernel, _ in leaves)
    ]


def _matches(pattern: Pattern, name: str) -> bool:
    """PEFT's rule: a string is for the whole name, of several one is the name or its end."""
    if isinstance(pattern, str):
        return re.fullmatch(pattern, name) is not None
    return any(name == each or name.endswith(f".{each}") for each in pattern)


def _is_target(name: str, kernel: Kernel, config: LoRAConfig) -> bool:
    if config.layers is not None and layer_of(name) not in config.layers:
        return False
    if config.targets == ALL_LINEAR:
        return not kernel.embedding and name.split(".")[-1] not in HEADS
    return _matches(config.targets, name)


def layer_of(name: str) -> int | None:
    """The number of the layer that a module is in: the first part but the last that is, or ends
    in, one.

    >>> layer_of("layers.3.attention.q"), layer_of("Block_2.Dense_0"), layer_of("Dense_0")
    (3, 2, None)
    """
    for part in name.split(".")[:-1]:
        if found := re.fullmatch(r"(?:.*_)?(\d+)", part):
            return int(found[1])
    return None


def _refuse_unmatched(config: LoRAConfig, kernels: list[Kernel], every: list[str]) -> None:
    """Each pattern, name and layer must match something."""
    for field, given in (("targets", config.targets), ("exclude", config.exclude)):
        if field == "targets" and given == ALL_LINEAR:
            continue
        for each in (given,) if isinstance(given, str) else given:
            pattern = each if isinstance(given, str) else (each,)
            if not any(_matches(pattern, name) for name in every):
                ends = {name.split(".")[-1] for name in every}
                hint = did_you_mean(each, {*every, *ends})
                if isinstance(given, str):
                    hint = ", as a regular expression for the whole name; names go into a list"
                raise ConfigError(
                    f"{field}: {each!r} matches no module{hint}; the modules are\n  "
                    f"{_listed(every)}"
                )
    for key, _ in config.pairs("in_axes"):
        if not any(ends_in(key, name) for name in every):
            raise ConfigError(
                f"in_axes: {key!r} matches no module; the modules are\n  {_listed(every)}"
            )
    known = {layer_of(name) for name in every} - {None}
    for layer in config.layers or ():
        if layer not in known:
            there = ", ".join(map(str, sorted(n for n in known if n is not None))) or "none"
            raise ConfigError(f"layers: no module is in layer {layer}; there are {there}")


def _target(kernel: Kernel, wanted: Iterable[str], config: LoRAConfig) -> Target:
    wanted = set(wanted)
    name = next(name for name in kernel.names if name in wanted)
    return Target(
        path=kernel.path,
        names=kernel.names,
        ranks=tuple(config.rank_of(n) if n in wanted else 0 for n in kernel.names),
        alphas=tuple(config.alpha_of(n) if n in wanted else 0.0 for n in kernel.names),
        stacked=kernel.stacked,
        in_axes=_in_axes(kernel, name, config),
        embedding=kernel.embedding,
    )


def _in_axes(kernel: Kernel, name: str, config: LoRAConfig) -> int:
    axes = len(kernel.shape) - kernel.stacked
    given = first_match(config.pairs("in_axes"), name, None)
    if given is not None:
        if not given < axes:
            raise ConfigError(
                f"in_axes: {name} has a kernel of shape {kernel.shape}; expected fewer than "
                f"{axes} input axes, found {given}"
            )
        return int(given)
    if kernel.in_axes is not None:
        return kernel.in_axes
    last = name.split(".")[-1]
    raise ConfigError(
        f"targets: {name} has a kernel of shape {kernel.shape}, and neither that nor its name says "
        f"which axes are inputs; say in_axes={{{last!r}: 1}}, or 2, leave it out by exclude, or, "
        "where the first axis counts layers, name the subtree in stacks"
    )


def _told(config: LoRAConfig) -> str:
    return f"targets={config.targets!r}, exclude={config.exclude!r} and layers={config.layers!r}"


def _listed(names: list[str]) -> str:
    """The names, those that differ in a number only once."""
    short: dict[str, list[str]] = {}
    for name in names:
        short.setdefault(re.sub(r"\.\d+(?=\.)", ".*", name), []).append(name)
    shown = [key if len(group) > 1 else group[0] for key, group in short.items()]
    more = len(shown) - _SHOWN
    return "\n  ".join(shown[:_SHOWN]) + (f"\n  and {more} more" if more > 0 else "")
