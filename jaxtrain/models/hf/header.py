"""What a safetensors file says is in it, believed only where all of it can be true.

    heads = read_header(path)
    heads["model.norm.weight"]          # Head(dtype="BF16", shape=(2048,))

The format (https://github.com/huggingface/safetensors): eight bytes with the length of a header, a
JSON object from names to dtype, shape and offsets, then the bytes of all tensors, without gaps. The
library checks the same when it opens a file, but names neither file nor tensor, and takes the last
of two tensors of one name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models.hf.dtypes import STORED
from jaxtrain.models.hf.strict_json import MOST, parse_object, quoted

_MOST_AXES = 8


@dataclass(frozen=True)
class Head:
    """A tensor, without its values."""

    dtype: str
    shape: tuple[int, ...]


def read_header(path: Path) -> dict[str, Head]:
    """The tensors of a file, by name. Nothing of the size of a claim is allocated.

    Raises:
        DataError: it is no such file, truncated, or contradicts itself; names the tensor.
        ConfigError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise DataError(
                    f"{path}: is no safetensors file, or truncated: its first 8 bytes announce a "
                    f"header of {length:,} bytes, and {max(size - 8, 0):,} follow"
                )
            if length > MOST:
                raise DataError(f"{path}: a header of {length:,} bytes; expected at most {MOST:,}")
            content = file.read(length)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from None
    entries = parse_object(content, place=f"{path}: the header", error=DataError)
    entries.pop("__metadata__", None)
    spans = []
    heads = {}
    for name, entry in entries.items():
        place = f"{path}: tensor {quoted(name)}"
        heads[name], begin, end = _head(entry, place)
        spans.append((begin, end, place))
    _refuse_gaps(spans, path, size - 8 - length)
    return heads


def _head(entry: Any, place: str) -> tuple[Head, int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise DataError(f"{place}: expected dtype, shape and data_offsets, found {quoted(entry)}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORED:
        raise DataError(
            f"{place}: dtype: expected one of {', '.join(STORED)}, found {quoted(dtype)}; "
            "quantised weights have to be converted to one of these first"
        )
    if not _are_sizes(shape) or len(shape) > _MOST_AXES:
        raise DataError(f"{place}: shape: expected a list of sizes, found {quoted(shape)}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise DataError(f"{place}: data_offsets: expected two, found {quoted(offsets)}")
    begin, end = offsets
    if end - begin != (claimed := math.prod(shape) * STORED[dtype].itemsize):
        raise DataError(
            f"{place}: {dtype} {quoted(shape)} takes {quoted(claimed)} bytes, and its data_offsets "
            f"{quoted(offsets)} have {quoted(end - begin)}"
        )
    return Head(dtype, tuple(shape)), begin, end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _refuse_gaps(spans: list[tuple[int, int, str]], path: Path, room: int) -> None:
    """See that the tensors lie side by side, from the end of the header to that of the file."""
    reached = 0
    for begin, end, place in sorted(spans):
        if begin != reached:
            how = "overlaps the one before it" if begin < reached else "leaves a gap before it"
            raise DataError(f"{place}: {how}: expected it to begin at {reached}, found {begin}")
        reached = end
    if reached != room:
        how = "truncated" if room < reached else "more at its end than there are tensors"
        raise DataError(
            f"{path}: {how}: the tensors take {reached:,} bytes, and {room:,} follow the header"
        )
