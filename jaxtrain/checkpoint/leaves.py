"""A pytree as named leaves, and the exact comparison of two of them.

    named_leaves({"params": {"Dense_0": {"kernel": w}}})     # {"params/Dense_0/kernel": w}

Typed random keys are stored as their words: a file knows nothing of key types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import CheckpointMismatchError

_SHOWN = 20


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves by path, the parts joined by `/`, in tree order.

    Raises:
        ValueError: where two have the same name, as those of `{"a/b": 1, "a": {"b": 2}}`.

    >>> named_leaves({"a": {"b": 1, "c": (2, 3)}})
    {'a/b': 1, 'a/c/0': 2, 'a/c/1': 3}
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name in named:
            raise ValueError(f"two leaves are both called {name!r}; one would be lost in a file")
        named[name] = leaf
    return named


def to_host(tree: Any, reuse: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """The named leaves in host memory, where no later step can change them. Waits for the device.

    All transfers are started before the first is waited for.

    Args:
        tree: of arrays, numbers and typed random keys.
        reuse: what this function gave before, to be written over: fresh memory costs several times
            as much as the copy itself. Only where the device is the host.
    """
    named = {name: _plain(leaf) for name, leaf in named_leaves(tree).items()}
    for leaf in named.values():
        if isinstance(leaf, jax.Array):
            leaf.copy_to_host_async()
    reuse = reuse or {}
    return {name: _to_host(leaf, reuse.get(name)) for name, leaf in named.items()}


def _to_host(leaf: Any, old: np.ndarray | None) -> np.ndarray:
    if isinstance(leaf, jax.Array) and all(d.platform != "cpu" for d in leaf.devices()):
        return np.asarray(leaf)  # what came from another device is a copy already
    # A copy also where the device is the host: the next step may be given the same buffer.
    value = np.asarray(leaf)
    if old is None or old.shape != value.shape or old.dtype != value.dtype:
        return np.array(value, copy=True)
    np.copyto(old, value)
    return old


def from_host(stored: Mapping[str, np.ndarray], template: Any) -> Any:
    """A tree like `template` with the stored values.

    Args:
        stored: arrays by path.
        template: a tree of arrays or `jax.ShapeDtypeStruct`s with the structure, shapes and dtypes
            that are expected.

    Raises:
        CheckpointMismatchError: listing every path that is missing, left over, or of another shape
            or dtype. Nothing is ever cast or left out.
    """
    refuse_differences(stored, template)
    expected = named_leaves(template)
    values = []
    for name, leaf in expected.items():
        value = jnp.asarray(stored[name])
        if _is_key(leaf):
            value = jax.random.wrap_key_data(value, impl=_key_type(leaf))
        values.append(value)
    return jax.tree.unflatten(jax.tree.structure(template), values)


def refuse_differences(stored: Mapping[str, Any], template: Any) -> None:
    """Compare names, shapes and dtypes, leaf by leaf. No value is looked at.

    Args:
        stored: by path, anything with a shape and a dtype.
        template: as for `from_host`.

    Raises:
        CheckpointMismatchError: listing every difference.
    """
    expected = named_leaves(template)
    problems = [f"missing in the checkpoint: {name}" for name in expected.keys() - stored.keys()]
    problems += [f"not in this run: {name}" for name in stored.keys() - expected.keys()]
    for name in expected.keys() & stored.keys():
        want, have = _shape_and_dtype(expected[name]), _shape_and_dtype(stored[name])
        if want != have:
            problems.append(f"{name}: this run has {_show(want)}, the checkpoint {_show(have)}")
    if problems:
        more = len(problems) - _SHOWN
        raise CheckpointMismatchError(
            "the checkpoint does not fit this run:\n  "
            + "\n  ".join(sorted(problems)[:_SHOWN])
            + (f"\n  and {more} more" if more > 0 else "")
        )


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_type(leaf: Any) -> str:
    """The name of a key's type, also that of a `ShapeDtypeStruct`."""
    found: list[str] = []
    jax.eval_shape(lambda key: found.append(str(jax.random.key_impl(key))), leaf)
    return found[0]


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _shape_and_dtype(leaf: Any) -> tuple[tuple[int, ...], str]:
    if _is_key(leaf):
        data = jax.eval_shape(jax.random.key_data, leaf)
        return tuple(data.shape), str(data.dtype)
    return tuple(np.shape(leaf)), str(
        leaf.dtype if hasattr(leaf, "dtype") else np.dtype(type(leaf))
    )


def _show(shape_and_dtype: tuple[tuple[int, ...], str]) -> str:
    shape, dtype = shape_and_dtype
    return f"{dtype}[{', '.join(map(str, shape))}]"
