"""Many image files into one array, a few at a time.

    read = read_images(files, size=(64, 64), channels=3, unreadable="refuse")
    read.inputs                                              # [B, 64, 64, 3] float32 in [0, 1]
    read.rows                                                # which of the files they are

Several threads decode, each into the rows of its files; the result is that of one. Axis letters: B
images, H rows of pixels, W columns of pixels, C channels.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from jaxtrain.data.images.decoding import Channels, Decoded, Size, decode, strictly
from jaxtrain.data.memory import refuse_too_much
from jaxtrain.errors import DataError

logger = logging.getLogger(__name__)

Unreadable = Literal["refuse", "skip"]

_TOGETHER = 64  # files that a thread takes at a time
_THREADS = 4
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Read:
    """Images that were read.

    Args:
        inputs: `[B, H, W, C]` float32 in [0, 1].
        rows: `[B]`, the place of each in the list of files; ascending.
    """

    inputs: np.ndarray
    rows: np.ndarray


def refuse_too_many(count: int, *, size: Size, channels: Channels) -> None:
    """Raises where so many images would take more than half of the memory.

    Raises:
        ConfigError: says how much, and what to do.
    """
    refuse_too_much(
        4 * count * size[0] * size[1] * channels,
        what=f"{count:,} images of {size[0]}x{size[1]}x{channels} in float32",
        remedy="give a smaller data.size, or a source of your own with a GrainLoader, which reads "
        "images as they are wanted",
    )


def read_images(
    files: Sequence[Path], *, size: Size, channels: Channels, unreadable: Unreadable
) -> Read:
    """The images in `files`, in their order.

    Args:
        files: PNG or JPEG files.
        size: H and W; images of another size are brought to it.
        channels: C.
        unreadable: "refuse" raises at the first file that can't be read; "skip" leaves such files
            out, and logs how many and which.

    Raises:
        ConfigError: they need more than half of the memory; or Pillow is missing.
        DataError: one can't be read, or with "skip" none can.
    """
    refuse_too_many(len(files), size=size, channels=channels)
    inputs = np.empty((len(files), *size, channels), np.float32)
    kept, faults, remarks = 0, [], []
    rows = np.empty(len(files), np.int64)
    with contextlib.closing(decode_all(files, size=size, channels=channels)) as decoded:
        for place, found in decoded:
            if isinstance(found, Decoded):
                inputs[kept], rows[kept] = found.pixels, place
                kept += 1
                remarks += [f"{files[place]}: {found.remark}"] if found.remark else []
            elif unreadable == "refuse":
                raise DataError(
                    f"{found}; mend or remove it, or set data.unreadable=skip to leave out what "
                    "can't be read"
                )
            else:
                faults.append(str(found))
    _tell(faults, f"of {len(files):,} images left out, as they can't be read,")
    _tell(remarks, "images are not quite as they should be:")
    if not kept:
        raise DataError(f"none of {len(files):,} images can be read, the first: {faults[0]}")
    return Read(inputs[:kept], rows[:kept])


def decode_all(
    files: Sequence[Path], *, size: Size, channels: Channels
) -> Generator[tuple[int, Decoded | DataError], None, None]:
    """Each image, or why it can't be read, in the order of the files.

    Raises:
        ConfigError: Pillow is missing.
    """

    def some(start: int) -> list[Decoded | DataError]:
        return [
            _decoded(path, size=size, channels=channels)
            for path in files[start : start + _TOGETHER]
        ]

    starts = range(0, len(files), _TOGETHER)
    workers = min(_THREADS, os.cpu_count() or 1)
    with strictly(), ThreadPoolExecutor(workers, thread_name_prefix="images") as pool:
        # No more on their way than the threads are busy with: decoded images are large.
        ahead = [pool.submit(some, start) for start in starts[: 2 * workers]]
        try:
            for number, start in enumerate(starts):
                found = ahead.pop(0).result()
                if number + 2 * workers < len(starts):
                    ahead.append(pool.submit(some, starts[number + 2 * workers]))
                yield from enumerate(found, start)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decoded(path: Path, *, size: Size, channels: Channels) -> Decoded | DataError:
    try:
        return decode(path, size=size, channels=channels)
    except DataError as error:
        return error


def _tell(lines: Sequence[str], what: str) -> None:
    if lines:
        more = f"\n  and {len(lines) - _SHOWN:,} more" if len(lines) > _SHOWN else ""
        shown = "\n  ".join(lines[:_SHOWN])
        logger.warning("%s %d:\n  %s%s", what, len(lines), shown, more)
