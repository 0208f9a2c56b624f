"""The wall around orbax: named arrays to a directory and back. Behind it is `chunks.py` alone.

    write_arrays(directory, {"params/kernel": kernel})
    describe_arrays(directory)                        # {"params/kernel": float32[64, 8]}
    read_arrays(directory, ["params/kernel"])
    stored_arrays(directory)["params/kernel"].read([(slice(0, 4), slice(0, 8))])

Several processes write one directory so, which the first of them has made:

    write_share(directory, arrays)                    # each, the same names, and what is its own
    merge_shares(directory)                           # the first, when all are done

Every dtype of `STORABLE` comes back as it was, bit for bit.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.checkpoint.chunks import StoredArray, spread_handler
from jaxtrain.checkpoint.quiet import quiet_writing
from jaxtrain.checkpoint.spread import Spread
from jaxtrain.errors import CheckpointError

# Zarr has no name for these: their bytes are written.
_AS_BYTES = frozenset(
    {"float6_e2m3fn", "float6_e3m2fn", "float8_e4m3", "int1", "uint1", "uint2", "uint4"}
)

STORABLE = _AS_BYTES | {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", "bfloat16", "int2", "int4"),
    *("float4_e2m1fn", "float8_e3m4", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
    *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
}
"""Names of the dtypes that can be written. What numpy has besides, jax has no arrays of."""

# Orbax refuses a tree without arrays. No name of an array is written like that.
_NOTHING = "%"


def write_arrays(directory: Path, arrays: Mapping[str, np.ndarray | Spread]) -> None:
    """Write arrays as an orbax PyTree checkpoint (OCDBT, Zarr 3), nested as their names are.

    Args:
        directory: must not exist yet.
        arrays: by path, the parts joined by `/`; their dtypes are of `STORABLE`. This process has
            all pieces of what is spread.

    Raises:
        OSError: the disk is full, or fails in another way.
    """
    with quiet_writing(directory), _checkpointer(writes=True) as (orbax, checkpointer):
        checkpointer.save(directory.absolute(), args=_to_save(orbax, arrays))


def write_share(directory: Path, arrays: Mapping[str, np.ndarray | Spread]) -> None:
    """Write what is this process's of arrays that several write.

    Args:
        directory: is there, and empty before the first of them writes.
        arrays: in every process the same names, shapes and dtypes. What is no `Spread` is written
            by process 0 alone.

    Raises:
        OSError: as for `write_arrays`.
    """
    import orbax.checkpoint as ocp

    # Without a Checkpointer: that waits for all processes by a computation on their devices.
    with quiet_writing(directory):
        _handler(writes=True).save(_orbax_path(directory), args=_to_save(ocp, arrays))


def merge_shares(directory: Path) -> None:
    """Make one checkpoint of what several processes have written; no array is read for it.

    Raises:
        OSError: as for `write_arrays`.
    """
    with quiet_writing(directory):
        _handler(writes=True).finalize(_orbax_path(directory))


def _to_save(orbax: Any, arrays: Mapping[str, np.ndarray | Spread]) -> Any:
    # Orbax refuses arrays without elements; their shape and dtype are all there is to keep.
    empty = {n: _described(a) for n, a in arrays.items() if a.size == 0}
    full = {name: array for name, array in arrays.items() if array.size}
    bytes_of = {n: _described(a) for n, a in full.items() if a.dtype.name in _AS_BYTES}
    for name in bytes_of:
        array = full[name]
        full[name] = (
            array.viewed(np.uint8)
            if isinstance(array, Spread)
            else np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        )
    nested = _nest(full) or {_NOTHING: np.zeros(1, np.uint8)}
    return orbax.args.PyTreeSave(nested, custom_metadata={"empty": empty, "bytes": bytes_of})


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
        others = {**metadata.custom_metadata["empty"], **metadata.custom_metadata["bytes"]}
        return full | {
            name: jax.ShapeDtypeStruct(tuple(shape), np.dtype(dtype))
            for name, (dtype, shape) in others.items()
        }


def read_arrays(directory: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote.

    Args:
        directory: where.
        names: read these alone.

    Raises:
        CheckpointError: where orbax can't read it.
    """
    described = describe_arrays(directory)
    wanted = {n: d for n, d in described.items() if names is None or n in names}
    empty = {n: np.empty(d.shape, d.dtype) for n, d in wanted.items() if 0 in d.shape}
    full = _nest({name: 0 for name in wanted if name not in empty})
    if not full:
        return empty
    with _checkpointer() as (orbax, checkpointer), _named(directory):
        args = orbax.args.PyTreeRestore(item=full, partial_restore=True)
        read = _flatten(checkpointer.restore(directory.absolute(), args=args))
        return {name: _restored(read[name], wanted[name]) for name in wanted.keys() & read} | empty


def stored_arrays(directory: Path) -> dict[str, StoredArray]:
    """What `write_arrays` wrote, by path, to be read in parts. Reads no array.

    Raises:
        CheckpointError: where orbax can't read it.
    """
    return {
        name: StoredArray(directory, ".".join(map(_escape, name.split("/"))), described)
        for name, described in describe_arrays(directory).items()
    }


def _described(array: np.ndarray | Spread) -> list[Any]:
    return [array.dtype.name, list(array.shape)]


def _restored(leaf: Any, described: jax.ShapeDtypeStruct) -> np.ndarray:
    array = np.asarray(leaf)
    if array.dtype == described.dtype:
        return array
    return array.view(described.dtype).reshape(described.shape)


@contextlib.contextmanager
def _named(directory: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{directory}: orbax can't read it: {error}") from error


@contextlib.contextmanager
def _checkpointer(*, writes: bool = False) -> Iterator[tuple[Any, Any]]:
    """Orbax, and a Checkpointer of it that is closed at the end and does not fill the log."""
    import orbax.checkpoint as ocp  # imported here: it takes 100 ms that most runs never need

    logging.getLogger("absl").setLevel(logging.WARNING)
    own = jax.process_index()  # it would wait for other processes, by computing on their devices
    alone = ocp.options.MultiprocessingOptions(primary_host=own, active_processes={own})
    checkpointer = ocp.Checkpointer(_handler(writes=writes), multiprocessing_options=alone)
    try:
        yield ocp, checkpointer
    finally:
        checkpointer.close()


def _handler(*, writes: bool = False) -> Any:
    import orbax.checkpoint as ocp

    # The arrays are ours: the copy that orbax makes of each by default would be one too many.
    handlers = ocp.type_handlers.create_type_handler_registry(
        (np.ndarray, ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)),
        (jax.Array, ocp.type_handlers.ArrayHandler()),  # there are none; orbax warns without it
        *([(Spread, spread_handler())] if writes else []),
    )
    # Not compressed: trained numbers shrink by 8%, and a save takes four times as long.
    return ocp.PyTreeCheckpointHandler(
        use_ocdbt=True, use_zarr3=True, use_compression=False, type_handler_registry=handlers
    )


def _orbax_path(directory: Path) -> Any:
    from etils import epath  # comes with orbax, which takes no other paths here

    return epath.Path(directory.absolute())


def _nest(arrays: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, array in arrays.items():
        *folders, last = map(_escape, name.split("/"))
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = array
    return nested


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if name == _NOTHING:
            continue
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{_unescape(name)}/")
        else:
            flat[prefix + _unescape(name)] = value
    return flat


def _escape(name: str) -> str:
    """Orbax joins names by dots: `{"a.b": {"c": x}, "a": {"b.c": y}}` would lose one of the two."""
    return name.replace("%", "%25").replace(".", "%2E")


def _unescape(name: str) -> str:
    return name.replace("%2E", ".").replace("%25", "%")
