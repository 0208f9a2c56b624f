"""What was stored, compared with what is expected and put where it is expected.

    refuse_differences(describe_arrays(path), template)      # CheckpointMismatchError: every one
    tree = placed(read_arrays(path), template)               # each leaf where the template's is

A template is a tree like the one that was saved, of arrays, numbers or `jax.ShapeDtypeStruct`s:

    a jax array, or a shape with a sharding   says on which devices its leaf is to be, and how split
    a shape without one, a numpy array        a jax array on the default device
    a number of Python's                      a number

A leaf that lies over several devices may be given as a `StoredArray`: then of all of it, each
process reads what its devices are to have, and one leaf at a time.

Nothing is ever cast. Where jax has no room for a dtype (64 bits without `jax_enable_x64`), the leaf
stays a numpy array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from jaxtrain.checkpoint.chunks import StoredArray
from jaxtrain.checkpoint.leaves import is_key, key_type, named_leaves, shape_and_dtype
from jaxtrain.checkpoint.spread import Box, Starts, filled
from jaxtrain.errors import CheckpointMismatchError

_SHOWN = 20


def placed(
    stored: Mapping[str, np.ndarray | StoredArray],
    template: Any,
    *,
    keys: Mapping[str, str] | None = None,
) -> Any:
    """A tree like `template` with the stored values.

    A leaf goes from the host to all of its devices at once, to each its own share.

    Args:
        stored: arrays by path; those that `is_divided` may be on the disk still.
        template: see above.
        keys: of which types the random keys among them are, by path.

    Raises:
        CheckpointMismatchError: listing every path that is missing, left over, or of another shape,
            dtype or type of key.
    """
    refuse_differences(stored, template, keys=keys)
    values = [_placed(stored[name], leaf) for name, leaf in named_leaves(template).items()]
    return jax.tree.unflatten(jax.tree.structure(template), values)


def refuse_differences(
    stored: Mapping[str, Any], template: Any, *, keys: Mapping[str, str] | None = None
) -> None:
    """Compare names, shapes, dtypes and types of keys, leaf by leaf. No value is looked at.

    Args:
        stored: by path, anything with a shape and a dtype.
        template: as for `placed`.
        keys: as for `placed`.

    Raises:
        CheckpointMismatchError: listing every difference.
    """
    expected = named_leaves(template)
    types = keys or {}
    problems = [f"missing in the checkpoint: {name}" for name in expected.keys() - stored.keys()]
    problems += [f"not in this run: {name}" for name in stored.keys() - expected.keys()]
    for name in expected.keys() & stored.keys():
        leaf = expected[name]
        want = _show(leaf, key_type(leaf) if is_key(leaf) else "")
        have = _show(stored[name], types.get(name, ""))
        if want != have:
            problems.append(f"{name}: this run has {want}, the checkpoint {have}")
    if problems:
        more = len(problems) - _SHOWN
        raise CheckpointMismatchError(
            "the checkpoint does not fit this run:\n  "
            + "\n  ".join(sorted(problems)[:_SHOWN])
            + (f"\n  and {more} more" if more > 0 else "")
        )


def _show(leaf: Any, key: str) -> str:
    shape, dtype = shape_and_dtype(leaf)
    shown = f"{dtype}[{', '.join(map(str, shape))}]"
    return f"{shown} (random key, {key})" if key else shown


def is_divided(leaf: Any) -> bool:
    """Whether a leaf of a template lies over several devices, so that it can be read in parts."""
    sharding = getattr(leaf, "sharding", None)
    if sharding is None or len(sharding.device_set) == 1:
        return False
    if is_key(leaf):  # of which JAX says only by name how its words lie
        return isinstance(sharding, NamedSharding)
    return bool(jax.dtypes.canonicalize_dtype(leaf.dtype) == leaf.dtype)


def _placed(value: np.ndarray | StoredArray, leaf: Any) -> Any:
    """`value` as what the template's leaf is, and where that is."""
    if isinstance(value, StoredArray):
        divided = _divided(value, leaf)
        return jax.random.wrap_key_data(divided, impl=key_type(leaf)) if is_key(leaf) else divided
    if is_key(leaf):
        # A few words each, so it does not matter that they come here by way of one device.
        key = jax.random.wrap_key_data(jnp.asarray(value), impl=key_type(leaf))
        return _put(key, leaf)
    if not hasattr(leaf, "dtype"):
        return type(leaf)(value.item())
    if jax.dtypes.canonicalize_dtype(value.dtype) != value.dtype:
        return value[()] if isinstance(leaf, np.generic) else value
    return _put(value, leaf)


def _divided(stored: StoredArray, leaf: Any) -> jax.Array:
    """An array over several devices, of which this process reads what its own are to have."""
    sharding = leaf.sharding  # of keys, too: their words are behind the axes that it names
    indices = sharding.addressable_devices_indices_map(stored.shape).values()
    boxes = {_starts(box): box for box in (filled(index, stored.shape) for index in indices)}
    parts = dict(zip(boxes, stored.read(list(boxes.values())), strict=True))
    return jax.make_array_from_callback(
        stored.shape,
        sharding,
        lambda index: parts[_starts(filled(index, stored.shape))],
        dtype=stored.dtype,
    )


def _starts(box: Box) -> Starts:
    return tuple(axis.start for axis in box)


def _put(value: Any, leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and not leaf.committed:
        # Such an array goes along to where the others of a computation are. It must not be tied to
        # its device by having been saved.
        (device,) = leaf.devices()
        with jax.default_device(device):
            return jax.device_put(value)
    return jax.device_put(value, getattr(leaf, "sharding", None))
