"""Read IDX files, the format of MNIST and its relatives.

    images, labels = read_labelled_images(
        Path("train-images-idx3-ubyte.gz"), Path("train-labels-idx1-ubyte.gz"), num_classes=10
    )

Format (http://yann.lecun.com/exdb/mnist): two zero bytes, a type code (0x08: unsigned byte), the
number of axes, then the size of each axis as a big-endian 32-bit integer, then the values.
Axis letters: B images, H rows of pixels, W columns of pixels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxtrain.data.find_file import open_data
from jaxtrain.errors import DataError

_UNSIGNED_BYTE = 0x08
# A header can promise anything. No data set of this kind comes near: EMNIST's largest is 0.5 GiB.
_LARGEST = 2**31
# The most that deflate makes of one byte (https://zlib.net/zlib_tech.html).
_BEST_RATIO = 1032


def read_idx(path: Path, *, axes: int) -> np.ndarray:
    """The array in an IDX file, plain or `.gz`, as uint8 with `axes` axes.

    Reads as many bytes as the header says and no more, straight into the array.

    Raises:
        DataError: another format, type or number of axes; truncated; bytes after the end; a
            corrupt gzip stream. The message names the file, what was expected and what was found.
    """
    with open_data(path) as stream:
        magic = stream.read(4)
        expected = bytes([0, 0, _UNSIGNED_BYTE, axes])
        if magic != expected:
            raise DataError(
                f"{path}: not an IDX file of unsigned bytes with {axes} axes: expected the first "
                f"bytes {expected.hex(' ')}, found {magic.hex(' ') or 'an empty file'}"
            )
        header = stream.read(4 * axes)
        if len(header) < 4 * axes:
            raise DataError(
                f"{path}: truncated: expected a header of {4 + 4 * axes} bytes, "
                f"found {4 + len(header)}"
            )
        shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
        size = math.prod(shape)
        if size > _LARGEST:
            raise DataError(
                f"{path}: the header claims {size:,} values of shape {shape}; "
                f"at most {_LARGEST:,} are read"
            )
        # No memory is taken for values that the file can't hold.
        room = path.stat().st_size
        room = room * _BEST_RATIO if path.suffix == ".gz" else room - 4 - len(header)
        if size > room:
            raise DataError(
                f"{path}: truncated: expected {size:,} bytes of values for shape {shape}, "
                f"found {'at most ' if path.suffix == '.gz' else ''}{room:,}; fetch it again"
            )
        return _read_values(stream, path, shape, size)


def _read_values(stream: BinaryIO, path: Path, shape: tuple[int, ...], size: int) -> np.ndarray:
    values = np.empty(size, np.uint8)
    window = values.data
    found = 0
    try:
        while found < size:
            count = stream.readinto1(window[found:])  # type: ignore[attr-defined]
            if not count:
                break
            found += count
    except EOFError:
        pass  # A gzip stream cut short: the message below says more than its own.
    if found < size:
        raise DataError(
            f"{path}: truncated: expected {size:,} bytes of values for shape {shape}, "
            f"found {found:,}; fetch it again"
        )
    # Also what makes gzip compare its checksum, which stands behind the last byte.
    if stream.read(1):
        raise DataError(
            f"{path}: expected {size:,} bytes of values for shape {shape}, found more after them"
        )
    return values.reshape(shape)


def read_labelled_images(
    images_path: Path, labels_path: Path, *, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images `[B, H, W]` uint8 and their labels `[B]` uint8, each label below `num_classes`.

    Raises:
        DataError: what `read_idx` refuses, counts that differ, a label out of range, no images, or
            images without pixels.
    """
    labels = read_idx(labels_path, axes=1)
    wrong = np.flatnonzero(labels >= num_classes)
    if wrong.size:
        first = int(wrong[0])
        raise DataError(
            f"{labels_path}: label out of range: record {first} (counted from 0) is "
            f"{labels[first]}, allowed are 0 to {num_classes - 1}; {wrong.size:,} of "
            f"{labels.size:,} records are out of range"
        )
    images = read_idx(images_path, axes=3)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images):,} images, {labels_path} holds {len(labels):,} "
            "labels; expected one label for each image"
        )
    if not images.size:
        raise DataError(
            f"{images_path}: expected images with pixels, found {len(images):,} of "
            f"{images.shape[1]}x{images.shape[2]}"
        )
    return images, labels
