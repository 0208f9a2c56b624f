"""One array in NumPy's own format, read from a stream without ever unpickling.

    head = read_head(stream, "x.npy")            # shape and dtype; no memory is taken
    array = read_body(stream, head, "x.npy")

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Of its kinds
numbers, truth values and texts are read; objects are pickles, which could run anything.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from jaxtrain.errors import DataError

MAGIC = b"\x93NUMPY"

_LONGEST_HEADER = 10_000  # bytes; one of plain arrays has about 120
_MOST_AXES = 32
_CHUNK = 2**20
_LAST_LETTER = 0x10FFFF  # of Unicode
_KINDS = "biufUS"
_NAMES = {
    "O": "objects, which are pickles and never read; save numbers or texts",
    "c": "complex numbers; save their parts",
    "M": "dates; save numbers",
    "m": "lengths of time; save numbers",
    "V": "records of several fields; save each field as an array",
}


@dataclass(frozen=True)
class Head:
    """What an array's header says.

    Args:
        shape: its axes.
        dtype: of its values; one of booleans, integers, floats, texts.
        fortran: whether its first axis is the one that runs fastest.
        size: bytes of the header itself.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    size: int

    @property
    def count(self) -> int:
        """How many values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the values."""
        return self.count * self.dtype.itemsize

    def __str__(self) -> str:
        name = "text" if self.dtype.kind in "US" else self.dtype.name
        return f"{name}{list(self.shape)}"


def read_head(stream: BinaryIO, name: str) -> Head:
    """The header that the stream begins with; what follows are the values.

    Raises:
        DataError: it is none, or of a kind that is not read; names `name`.
    """
    magic = stream.read(8)
    if magic[:6] != MAGIC or len(magic) < 8:
        raise DataError(
            f"{name}: expected an array in NumPy's format, found {magic[:6].hex(' ') or 'nothing'}"
        )
    version = (magic[6], magic[7])
    if version not in ((1, 0), (2, 0)):
        raise DataError(
            f"{name}: format {version[0]}.{version[1]} of NumPy's files; expected 1.0 or 2.0, "
            "which plain arrays have"
        )
    width = 2 if version == (1, 0) else 4
    length = stream.read(width)
    count = int.from_bytes(length, "little")
    if count > _LONGEST_HEADER:
        raise DataError(
            f"{name}: a header of {count:,} bytes; at most {_LONGEST_HEADER:,} are read"
        )
    text = stream.read(count)
    if len(length) < width or len(text) < count:
        raise DataError(f"{name}: truncated: it ends in its header")
    shape, fortran, dtype = _parsed(version, length + text, name)
    _refuse_kind(dtype, name)
    if len(shape) > _MOST_AXES or any(type(size) is not int or size < 0 for size in shape):
        raise DataError(f"{name}: broken: {shape!s:.200} is no shape of an array")
    return Head(shape, dtype, bool(fortran), len(magic) + width + count)


def read_body(stream: BinaryIO, head: Head, name: str) -> np.ndarray:
    """The values behind the header, which end where the stream does.

    The caller has seen to it that the stream may hold so many.

    Raises:
        DataError: there are fewer or more bytes, or no value at all; names `name`.
    """
    if not head.count:
        raise DataError(f"{name}: {head} holds no value")
    flat = np.empty(head.count, head.dtype)
    window = flat.view(np.uint8).data
    found = 0
    while found < len(window):
        count = stream.readinto(window[found : found + _CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise DataError(
                f"{name}: truncated: expected {len(window):,} bytes of values for {head}, found "
                f"{found:,}"
            )
        found += count
    if stream.read(1):  # also what makes zipfile compare its checksum
        raise DataError(f"{name}: expected {len(window):,} bytes of values for {head}, found more")
    if head.dtype.kind == "U":
        letters = flat.view(np.dtype(np.uint32).newbyteorder(head.dtype.byteorder))
        if letters.max() > _LAST_LETTER:  # Python would raise a SystemError of them
            raise DataError(f"{name}: texts of letters that there are not")
    if head.dtype.kind == "b":  # a byte that is neither 0 nor 1 would be a third truth
        flat = flat.view(np.uint8) != 0
    return flat.reshape(head.shape[::-1]).T if head.fortran else flat.reshape(head.shape)


def _parsed(
    version: tuple[int, int], header: bytes, name: str
) -> tuple[tuple[int, ...], bool, np.dtype]:
    formats = np.lib.format
    read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            # Of headers that Python 2 wrote, and of what looks like an escape in a broken one.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(io.BytesIO(header), max_header_size=_LONGEST_HEADER)
    # A literal is parsed: besides ValueError, whatever Python's parser raises of nonsense.
    except Exception as error:
        raise DataError(
            f"{name}: broken header: {str(error) or type(error).__name__:.200}"
        ) from None
    return shape, fortran, dtype


def _refuse_kind(dtype: np.dtype, name: str) -> None:
    if dtype.hasobject:
        raise DataError(f"{name}: holds {_NAMES['O']}")
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise DataError(f"{name}: holds {_NAMES.get(dtype.kind, str(dtype))}")
    if not dtype.itemsize:
        raise DataError(f"{name}: holds texts without a letter")
