"""What a module is called here, and what it is called in PEFT's files.

    naming = naming_of(params)                   # our decoder's: of transformers
    naming.theirs["layers.3.attention.q"]        # "model.layers.3.self_attn.q_proj"
    naming_of(params, {"Dense_0": "net.up"}).theirs["Dense_0"]

A decoder is known by its tree. Any other tree's modules are called there as they are here, unless
`names` says something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.targets import HEADS, find_kernels, leaves_by_path
from jaxtrain.models.hf.names import EMBEDDING, HEAD, LEAVES, Leaf

Names: TypeAlias = "Mapping[str, str] | Callable[[str], str] | None"
"""Names in the file by names here: a mapping, for those that differ, or a function."""

_BY_PATH = {"/".join(leaf.path): leaf for leaf in LEAVES}
_HEAD_PATH = next(path for path, leaf in _BY_PATH.items() if leaf.name == HEAD)


def _module(leaf: Leaf) -> str:
    return leaf.name.removesuffix(".weight")


EMBEDDING_MODULE = EMBEDDING.removesuffix(".weight")
HEAD_MODULE = HEAD.removesuffix(".weight")


@dataclass(frozen=True, kw_only=True)
class Naming:
    """The names of all modules that could have an adapter.

    Attributes:
        theirs: names in the file by names here.
        ours: the other way round.
        nonlinear: in their names, those that "all-linear" leaves out.
        decoder: whether it is our decoder, under the names of transformers.
        tied: whether the output head is the embedding, which has a name of its own there.
        complete: whether there are no other modules.
    """

    theirs: Mapping[str, str]
    nonlinear: frozenset[str]
    decoder: bool
    tied: bool
    complete: bool = True
    ours: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        ours: dict[str, str] = {}
        for name, their in self.theirs.items():
            if their in ours:
                raise ConfigError(
                    f"names: {ours[their]} and {name} are both called {their!r}; expected another "
                    "name for each"
                )
            ours[their] = name
        object.__setattr__(self, "ours", ours)


def naming_of(params: Any, names: Names = None, *, stacks: Sequence[str] = ("layers",)) -> Naming:
    """The names of the modules of a tree.

    Args:
        params: arrays, or whatever has a shape.
        names: see above; where it is given, a decoder is a tree like any other.
        stacks: names of subtrees whose leaves lie stacked.

    Raises:
        ConfigError: `names` has a module that is not there, or gives two of them one name.
    """
    kernels = find_kernels(params, stacks)
    paths = set(leaves_by_path(params))
    if names is None and paths in (set(_BY_PATH), set(_BY_PATH) - {_HEAD_PATH}):
        named = {kernel.path: kernel.names for kernel in kernels}
        return _decoder(named, tied=_HEAD_PATH not in paths)
    every = [name for kernel in kernels for name in kernel.names]
    embeddings = {name for kernel in kernels if kernel.embedding for name in kernel.names}
    return _others(every, embeddings, names, complete=True)


def naming_of_adapter(adapter: Adapter, names: Names = None) -> Naming:
    """The names of an adapter's own modules, where the tree that it was made for is not at hand.

    Raises:
        ConfigError: as `naming_of`; or only the tree could tell what they are called.
    """
    named = {target.path: target.names for target in adapter.targets}
    embeddings = {n for t in adapter.targets if t.embedding for n in t.names}
    like_ours = [path in _BY_PATH for path in named]
    if names is None and any(like_ours):
        alone = [path for path in named if not path.startswith("layers/")]
        if not all(like_ours) or alone or not all(t.stacked for t in adapter.targets):
            raise ConfigError(
                f"params: {', '.join(alone) or 'this tree'} may be of our decoder, whose modules "
                "are called otherwise in PEFT's files, or of another model; give params=, the "
                "parameters that the adapter was made for, or their shapes"
            )
        count = max(len(names_) for names_ in named.values())
        whole = dict(named)
        for path, leaf in _BY_PATH.items():
            if leaf.stacked and path.endswith("/kernel"):
                parts = path.split("/")
                whole[path] = tuple(
                    ".".join([parts[0], str(i), *parts[1:-1]]) for i in range(count)
                )
        return _decoder(whole, tied=False)
    every = [name for own in named.values() for name in own]
    return _others(every, embeddings, names, complete=False)


def _decoder(named: Mapping[str, tuple[str, ...]], *, tied: bool) -> Naming:
    theirs: dict[str, str] = {}
    for path, own in named.items():
        module = _module(_BY_PATH[path])
        theirs |= {name: module.format(layer) for layer, name in enumerate(own)}
    return Naming(
        theirs=theirs,
        nonlinear=frozenset({EMBEDDING_MODULE, HEAD_MODULE}),
        decoder=True,
        tied=tied,
    )


def _others(
    every: Sequence[str], embeddings: Iterable[str], names: Names, *, complete: bool
) -> Naming:
    if isinstance(names, Mapping):
        for name in names:
            if name not in every and complete:
                raise ConfigError(
                    f"names: there is no module {name!r}{did_you_mean(name, every)}; the modules "
                    f"are {', '.join(every[:20])}{' ...' if len(every) > 20 else ''}"
                )
        theirs = {name: names.get(name, name) for name in every}
    elif names is not None:
        theirs = {name: names(name) for name in every}
    else:
        theirs = {name: name for name in every}
    for name, their in theirs.items():
        if not isinstance(their, str) or not their:
            raise ConfigError(f"names: expected a name for {name}, found {their!r}")
    heads = {name for name in every if name.split(".")[-1] in HEADS}
    return Naming(
        theirs=theirs,
        nonlinear=frozenset(theirs[name] for name in {*embeddings, *heads}),
        decoder=False,
        tied=False,
        complete=complete,
    )
