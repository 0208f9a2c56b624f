"""The wall around orbax: named arrays to a directory and back. No other file imports orbax."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.errors import CheckpointError


def write_arrays(directory: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an orbax PyTree checkpoint (OCDBT, Zarr 3), nested as their names are.

    Args:
        directory: must not exist yet.
        arrays: by path, the parts joined by `/`.
    """
    # Orbax refuses arrays without elements; their shape and dtype are all there is to keep.
    empty = {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items() if a.size == 0}
    full = {name: array for name, array in arrays.items() if array.size}
    with _checkpointer() as (orbax, checkpointer):
        args = orbax.args.PyTreeSave(_nest(full), custom_metadata={"empty": empty})
        checkpointer.save(directory.absolute(), args=args)


def describe_arrays(directory: Path) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of what `write_arrays` wrote, by path. Reads no array.

    Raises:
        CheckpointError: where orbax can't read it.
    """
    with _named(directory):
        metadata = _handler().metadata(_orbax_path(directory))
        full = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
            for name, leaf in _flatten(metadata.tree).items()
        }
        empty = {
            name: jax.ShapeDtypeStruct(tuple(shape), np.dtype(dtype))
            for name, (dtype, shape) in metadata.custom_metadata["empty"].items()
        }
    return full | empty


def read_arrays(directory: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote.

    Raises:
        CheckpointError: where orbax can't read it.
    """
    empty = {
        name: np.empty(one.shape, one.dtype)
        for name, one in describe_arrays(directory).items()
        if 0 in one.shape
    }
    with _checkpointer() as (orbax, checkpointer), _named(directory):
        nested = checkpointer.restore(directory.absolute(), args=orbax.args.PyTreeRestore())
        return {name: np.asarray(leaf) for name, leaf in _flatten(nested).items()} | empty


@contextlib.contextmanager
def _named(directory: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{directory}: orbax can't read it: {error}") from error


@contextlib.contextmanager
def _checkpointer() -> Iterator[tuple[Any, Any]]:
    """Orbax, and a Checkpointer of it that is closed at the end and does not fill the log."""
    import orbax.checkpoint as ocp  # imported here: it takes 100 ms that most runs never need

    logging.getLogger("absl").setLevel(logging.WARNING)
    checkpointer = ocp.Checkpointer(_handler())
    try:
        yield ocp, checkpointer
    finally:
        checkpointer.close()


def _handler() -> Any:
    import orbax.checkpoint as ocp

    # The arrays are ours: the copy that orbax makes of each by default would be one too many.
    handlers = ocp.type_handlers.create_type_handler_registry(
        (np.ndarray, ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)),
        (jax.Array, ocp.type_handlers.ArrayHandler()),  # there are none; orbax warns without it
    )
    # Not compressed: trained numbers shrink by 8%, and a save takes four times as long.
    return ocp.PyTreeCheckpointHandler(
        use_ocdbt=True, use_zarr3=True, use_compression=False, type_handler_registry=handlers
    )


def _orbax_path(directory: Path) -> Any:
    from etils import epath  # comes with orbax, which takes no other paths here

    return epath.Path(directory.absolute())


def _nest(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, array in arrays.items():
        *folders, last = name.split("/")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = array
    return nested


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat
