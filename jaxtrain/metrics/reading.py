"""What a metric reads of a step's output: an array by its path, and which elements count.

    read(output, "outputs.head_a", reader="the metric Accuracy")      # output["outputs"]["head_a"]
    counted(output, values, mask="mask", reader="the metric Mean")    # bools of the values' shape

On the device or, with `xp=numpy`, on the host.

Axes: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxtrain.batch import entry, masks
from jaxtrain.errors import DataError
from jaxtrain.metrics.metric import has_all

# Scalars, by the contract of a step. An axis on one of them is that of a population's members.
_SCALARS = ("loss_sum", "loss_weight", "finite")


def read(output: Any, path: str, *, reader: str, xp: Any = jnp) -> Any:
    """The array at a dotted path of the output.

    Args:
        output: what a step returned.
        path: a key; or keys, places in a tuple and names of attributes, joined by dots. A key that
            has dots in it is found as it is. Of an output that is itself a tuple, "0" is the first.
        reader: who reads, for messages.
        xp: `numpy` for what is computed on the host: an array is then as wide as it came.

    Raises:
        DataError: there is nothing, or no array, at that path; or the output is a population's.

    >>> read({"outputs": ([1.0], [2.0])}, "outputs.1", reader="the metric Mean").tolist()
    [2.0]
    >>> read({"outputs": ([1.0], [2.0])}, "outputs", reader="the metric Mean")
    Traceback (most recent call last):
        ...
    jaxtrain.errors.DataError: the metric Mean reads 'outputs', which is no array but has several:
    name one of 'outputs.0', 'outputs.1'
    """
    refuse_population(output, reader)
    found = at(output, path, reader=reader)
    inside = _parts(found)
    if inside:
        one_of = ", ".join(repr(f"{path}.{part}") for part in inside)
        raise DataError(
            f"{reader} reads {path!r}, which is no array but has several: name one of {one_of}"
        )
    try:
        array = xp.asarray(found)
        if xp is np and array.dtype.kind in "OSU":  # which JAX refuses itself
            raise TypeError(f"an array of {array.dtype}")
        return array
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{reader} reads {path!r}; expected an array of numbers, found "
            f"{type(found).__name__} {str(found)[:60]!r}"
        ) from error


def at(output: Any, path: str, *, reader: str) -> Any:
    """What stands at a dotted path of the output, whatever it is; see `read`."""
    of = "the output of the step"
    found = output if isinstance(output, Mapping) else _parts(output)
    if not isinstance(output, Mapping) and not found:
        raise DataError(
            f"{reader} reads {path!r}; expected {of} to be a dict of arrays, found "
            f"{type(output).__name__}"
        )
    if path in found or "." not in path:
        return entry(found, path, reader=reader, of=of)
    first, *rest = path.split(".")
    found = entry(found, first, reader=reader, of=of)
    for part in rest:
        inside = _parts(found)
        if part not in inside:
            names = ", ".join(map(repr, inside)) or "no parts"
            raise DataError(f"{reader} reads {path!r}, {first!r} of {of} has {names}")
        found, first = inside[part], f"{first}.{part}"
    return found


def counted(output: Any, values: Any, *, mask: str | None, reader: str, xp: Any = jnp) -> Any:
    """Which of `values` `[B, ...]` count, as bools of their shape; all, where there is no mask.

    Args:
        output: what a step returned.
        values: what is masked.
        mask: the path of the mask, `[B]` or with more of the values' first axes; None for none.
            Where the output has no 'mask', all count; any other path must be there.
        reader: who reads, for messages.
        xp: `numpy` for what is computed on the host.

    Raises:
        DataError: the mask's shape does not begin that of the values.
    """
    if mask is None or (mask == "mask" and _has_no_mask(output)):
        return xp.ones(values.shape, bool)
    try:
        real = masks(read(output, mask, reader=reader, xp=xp), values)
    except DataError as error:
        text = str(error)
        raise DataError(text if reader in text else f"{reader}: {text}") from error
    assert real is not None
    return xp.broadcast_to(real, values.shape)


def refuse_population(output: Any, reader: str) -> None:
    """Raise where the output is that of a vmapped step: its members must not be pooled."""
    if not isinstance(output, Mapping):
        return
    for key in _SCALARS:
        shape = np.shape(output[key]) if key in output else ()
        if shape:
            raise DataError(
                f"{reader}: expected a scalar {key!r}, found the shape {shape}. Where that is the "
                "axis of a population, vmap the metric too, with one state a member: "
                "jax.vmap(metric.update)(states, output)"
            )


def _has_no_mask(output: Any) -> bool:
    return not isinstance(output, Mapping) or output.get("mask") is None


def _parts(found: Any) -> dict[str, Any]:
    """The named parts of what is no array; nothing of an array, or of a list of numbers."""
    if isinstance(found, Mapping):
        return {str(key): value for key, value in found.items()}
    if hasattr(found, "shape"):
        return {}
    if isinstance(found, tuple) and has_all(found, "_fields"):
        return dict(zip(found._fields, found, strict=True))  # type: ignore[attr-defined]
    if isinstance(found, list | tuple):
        arrays = isinstance(found, tuple) or any(hasattr(value, "shape") for value in found)
        return {str(place): value for place, value in enumerate(found)} if arrays else {}
    if has_all(found, "__dataclass_fields__"):
        return {name: getattr(found, name) for name in found.__dataclass_fields__}
    return {}
