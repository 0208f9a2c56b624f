"""Output: what leaves a dispatch of what the last step said, and how a handler reads it.

    output["loss"]          # a numpy scalar; all scalars come in one transfer, when first asked for
    output["outputs"]       # an array on the device, where engine.keep("outputs") asked for it

Metrics read the whole output inside the dispatch. An array that nobody has declared to read never
leaves it: the logits of a language model, say, then don't exist twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.engine.device.packing import Packed, Packing, is_scalar
from jaxtrain.errors import DataError


class Leaving(NamedTuple):
    """What comes out of a dispatch: scalars packed, and the arrays that somebody reads.

    At least one array is in it, so that one can wait for the dispatch.
    """

    scalars: Packed
    arrays: tuple[Any, ...]
    token: Any = None


@dataclass(frozen=True)
class Layout:
    """Which leaf of a step's output leaves, and where it then is.

    Attributes:
        treedef: the structure of the output.
        is_scalar: for each leaf.
        leaves_too: for each leaf that is no scalar, whether it leaves all the same.
        scalars: how the scalars are packed.
        arrays: shapes and dtypes of the arrays that leave.
        names: the entries, where the output is a mapping.
    """

    treedef: Any
    is_scalar: tuple[bool, ...]
    leaves_too: tuple[bool, ...]
    scalars: Packing
    arrays: tuple[jax.ShapeDtypeStruct, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, output: Any, keeps: frozenset[str] | None) -> Layout:
        """The layout of outputs of these shapes.

        Args:
            output: shapes and dtypes.
            keeps: the entries whose arrays leave; None for all.

        Raises:
            DataError: an entry that is to be kept is not there.
        """
        flat, treedef = jax.tree_util.tree_flatten_with_path(output)
        names = tuple(map(str, output)) if isinstance(output, Mapping) else None
        if keeps and not keeps <= set(names or ()):
            missing = ", ".join(repr(name) for name in sorted(keeps - set(names or ())))
            has = "is no mapping" if names is None else f"has only {', '.join(sorted(names))}"
            raise DataError(f"keep: the output of the step has no {missing}; it {has}")
        scalar = tuple(is_scalar(leaf) for _, leaf in flat)
        too = tuple(
            not s and (keeps is None or (names is not None and _top(path) in keeps))
            for s, (path, _) in zip(scalar, flat, strict=True)
        )
        small = tuple(leaf for s, (_, leaf) in zip(scalar, flat, strict=True) if s)
        arrays = tuple(
            jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
            for leaves, (_, leaf) in zip(too, flat, strict=True)
            if leaves
        )
        return cls(treedef, scalar, too, Packing.of(small), arrays, names)

    def chosen(self, output: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The scalars, and the arrays that leave, of an output; to be traced."""
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(output)]
        small = tuple(leaf for leaf, s in zip(leaves, self.is_scalar, strict=True) if s)
        kept = tuple(leaf for leaf, too in zip(leaves, self.leaves_too, strict=True) if too)
        return small, kept

    def nothing(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """What stands there before the first step of a loop; to be traced."""
        return _zeros(self.scalars.shapes), _zeros(self.arrays)

    def pack(self, chosen: tuple[tuple[Any, ...], tuple[Any, ...]]) -> Leaving:
        """What was chosen, as few arrays; to be traced."""
        packed = self.scalars.pack(chosen[0])
        return Leaving(packed, chosen[1], None if chosen[0] or chosen[1] else jnp.zeros(()))

    def tree(self, leaving: Leaving) -> Any:
        """The output again, its scalars read; a `_NotKept` in the place of what did not leave."""
        scalars = iter(self.scalars.on_host(leaving.scalars))
        arrays = iter(leaving.arrays)
        return self.treedef.unflatten(
            next(scalars) if s else next(arrays) if too else _NOT_KEPT
            for s, too in zip(self.is_scalar, self.leaves_too, strict=True)
        )


class Output(Mapping[str, Any]):
    """The output of a step that gives a mapping. Nothing is read before it is asked for.

    Args:
        layout: where what is.
        leaving: what left the dispatch.
        note: called when something is read.
    """

    def __init__(self, layout: Layout, leaving: Leaving, note: Callable[[], None]) -> None:
        self._layout = layout
        self._leaving = leaving
        self._note = note
        self._read: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Any:
        """The entry `name`.

        Raises:
            KeyError: the step gives no such entry.
            DataError: it has arrays that nobody declared to read.
        """
        value = self._entries()[name]
        if any(leaf is _NOT_KEPT for leaf in jax.tree.leaves(value)):
            raise DataError(
                f"output[{name!r}] is an array that did not leave the dispatch, because nobody "
                f"had declared to read it; call engine.keep({name!r}) before the run"
            )
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The entry `name`, or `default` where it did not leave the dispatch."""
        if name not in self:
            return default
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return (n for n, v in self._entries().items() if not _lacks(v))

    def __contains__(self, name: object) -> bool:
        return name in self._entries() and not _lacks(self._entries()[name])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        absent = [name for name, value in self._entries().items() if _lacks(value)]
        more = f", not kept: {', '.join(absent)}" if absent else ""
        return f"Output({dict(self)}{more})"

    def scalars(self) -> dict[str, Any]:
        """The entries that are single numbers, as numpy scalars; of many members as `[M]`."""
        return {name: v for name, v in self._entries().items() if _is_number(v)}

    def _entries(self) -> dict[str, Any]:
        self._note()
        if self._read is None:
            self._read = dict(self._layout.tree(self._leaving))
        return self._read


def _zeros(shapes: tuple[jax.ShapeDtypeStruct, ...]) -> tuple[Any, ...]:
    return tuple(jnp.zeros(shape.shape, shape.dtype) for shape in shapes)


def output_of(layout: Layout, leaving: Leaving, note: Callable[[], None]) -> Callable[[], Any]:
    """A function that gives the output as a handler sees it: an `Output`, or the tree itself."""
    if layout.names is not None:
        output = Output(layout, leaving, note)
        return lambda: output

    def read() -> Any:
        note()
        tree = layout.tree(leaving)
        if _lacks(tree):
            raise DataError(
                "the step's output is no mapping and has arrays that did not leave the dispatch, "
                "because nobody had declared to read them; call engine.keep() before the run"
            )
        return tree

    return read


class _Missing:
    """Stands where an array did not leave."""

    def __repr__(self) -> str:
        return "<not kept>"


_NOT_KEPT = _Missing()


def _lacks(value: Any) -> bool:
    return any(leaf is _NOT_KEPT for leaf in jax.tree.leaves(value))


def _is_number(value: Any) -> bool:
    # What is on the host already was packed with the scalars.
    return hasattr(value, "dtype") and not isinstance(value, jax.Array)


def _top(path: Any) -> str:
    return str(getattr(path[0], "key", path[0]))
