"""A pytree as named leaves in host memory; of what lies over several devices, as `Spread`s.

    named_leaves({"params": {"Dense_0": {"kernel": w}}})     # {"params/Dense_0/kernel": w}
    arrays = to_host(state)                                  # numpy arrays by such names
    key_types(state)                                         # {"rng": "threefry2x32"}

A leaf is an array of jax or numpy, a number of Python or numpy, or a typed random key. Keys are
stored as their words, and beside them what type they are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.checkpoint.arrays import STORABLE
from jaxtrain.checkpoint.spread import Spread, copied, nothing_of, own_shards, spread_of
from jaxtrain.errors import CheckpointError

# Python's numbers, and what they are in a file. An int that has no room there is refused.
_NUMBERS: dict[type, Any] = {
    bool: np.bool_,
    int: np.int64,
    float: np.float64,
    complex: np.complex128,
}


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves by path, the parts joined by `/`, in tree order.

    Raises:
        ValueError: where two have the same name, as those of `{"a/b": 1, "a": {"b": 2}}`, or one
            is called as the place of another.

    >>> named_leaves({"a": {"b": 1, "c": (2, 3)}})
    {'a/b': 1, 'a/c/0': 2, 'a/c/1': 3}
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name in named:
            raise ValueError(f"two leaves are both called {name!r}; one would be lost in a file")
        named[name] = leaf
    for name in named:
        for end in (i for i, letter in enumerate(name) if letter == "/"):
            if name[:end] in named:
                raise ValueError(f"{name[:end]!r} is a leaf, and so is {name!r}, which is below it")
    return named


def to_host(
    leaves: Mapping[str, Any],
    reuse: Mapping[str, np.ndarray | Spread] | None = None,
    *,
    first: bool = True,
) -> dict[str, np.ndarray | Spread]:
    """Named leaves in host memory, where no later step can change them. Waits for the device.

    All transfers are started before the first is waited for. What lies over several devices is not
    put together: of that, it is copied what this process has to write.

    Args:
        leaves: arrays, numbers and typed random keys, by name.
        reuse: what this function gave before, to be written over: fresh memory costs several times
            as much as the copy itself. Only where the device is the host.
        first: whether this process is the one that writes what all processes have.

    Raises:
        CheckpointError: listing every leaf that no file can hold as it is.
    """
    refuse_unstorable(leaves)
    plain = {name: _plain(leaf) for name, leaf in leaves.items()}
    for leaf in plain.values():
        if isinstance(leaf, jax.Array):
            _start_copying(leaf, first=first)
    reuse = reuse or {}
    return {name: _to_host(leaf, reuse.get(name), first=first) for name, leaf in plain.items()}


def refuse_unstorable(leaves: Mapping[str, Any]) -> None:
    """Check that every leaf can be stored as it is: nothing is cast, and nothing left out.

    Raises:
        CheckpointError: listing every one that can't.
    """
    problems = [f"{name}: {fault}" for name, leaf in leaves.items() if (fault := _fault(leaf))]
    if problems:
        raise CheckpointError("can't be saved as they are:\n  " + "\n  ".join(problems))


def key_types(leaves: Mapping[str, Any]) -> dict[str, str]:
    """The names of the types of the random keys among named leaves.

    >>> key_types({"rng": jax.random.key(0), "step": 3})
    {'rng': 'threefry2x32'}
    """
    return {name: key_type(leaf) for name, leaf in leaves.items() if is_key(leaf)}


def is_key(leaf: Any) -> bool:
    """Whether a leaf, or the `jax.ShapeDtypeStruct` of one, is of typed random keys."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def key_type(leaf: Any) -> str:
    """The name of a key's type, also that of a `jax.ShapeDtypeStruct`."""
    found: list[str] = []
    jax.eval_shape(lambda key: found.append(str(jax.random.key_impl(key))), leaf)
    return found[0]


def shape_and_dtype(leaf: Any) -> tuple[tuple[int, ...], str]:
    """What stands in a file for a leaf: its shape, and the name of its dtype.

    >>> shape_and_dtype(7), shape_and_dtype(jax.random.key(0))
    (((), 'int64'), ((2,), 'uint32'))
    """
    if is_key(leaf):
        data = jax.eval_shape(jax.random.key_data, leaf)
        return tuple(data.shape), data.dtype.name
    if type(leaf) in _NUMBERS:
        return (), np.dtype(_NUMBERS[type(leaf)]).name
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return tuple(np.shape(array)), str(array.dtype)


def _fault(leaf: Any) -> str:
    """Why a leaf can't be stored as it is; empty where it can."""
    if type(leaf) is int and not -(2**63) <= leaf < 2**63:
        return f"{leaf} has no room in 64 bits; keep it as a string, in meta"
    if not is_key(leaf):
        dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        if not (dtype.isnative and dtype.name in STORABLE):
            return (
                f"a {type(leaf).__name__} of dtype {dtype}; expected an array or number that jax "
                "knows, in the byte order of this machine; text belongs into meta"
            )
    if isinstance(leaf, jax.Array):
        if leaf.is_deleted():
            return "its buffers were given away to a step (donated): save the state it returned"
        if not leaf.is_fully_addressable and len(leaf.sharding.device_set) == 1:
            return "it is on one device, of another process; lay it over all devices"
    return ""


def _plain(leaf: Any) -> Any:
    if type(leaf) in _NUMBERS:
        return np.asarray(leaf, _NUMBERS[type(leaf)])
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _to_host(leaf: Any, old: Any, *, first: bool) -> np.ndarray | Spread:
    if isinstance(leaf, jax.Array) and _is_spread(leaf):
        return spread_of(leaf, old if isinstance(old, Spread) else None)
    if not first:
        return nothing_of(np.shape(leaf), leaf.dtype)
    return copied(leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf, old)


def _start_copying(leaf: jax.Array, *, first: bool) -> None:
    if _is_spread(leaf):
        for shard in own_shards(leaf):
            shard.data.copy_to_host_async()
    elif first:
        leaf.addressable_data(0).copy_to_host_async()


def _is_spread(leaf: jax.Array) -> bool:
    """Whether process 0 has less than all of it; of one device, each process has its own."""
    if not leaf.is_fully_replicated:
        return True
    devices: set[Any] = leaf.sharding.device_set
    return len(devices) > 1 and all(device.process_index for device in devices)
