"""One image file as an array of numbers from 0 to 1, by Pillow.

    with strictly():
        decoded = decode(Path("cats/1.jpg"), size=(64, 64), channels=3)
    decoded.pixels                                           # [64, 64, 3] float32

What becomes of an image: it is turned upright where its EXIF data say how it was held; what is
transparent shows white; palettes, CMYK and bits are turned into grey or RGB; 16 bits of grey stay
16 bits fine; the whole of it is stretched or shrunk to `size`, whatever its aspect, so that nothing
is cut off. Of several pictures in one file (a phone's, an animation) the first counts.

Axis letters: H rows of pixels, W columns of pixels, C channels.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxtrain.errors import ConfigError, DataError

Channels = Literal[1, 3]
Size = tuple[int, int]

LARGEST = 89_478_485
"""Pixels of the largest image that is decoded: where Pillow begins to warn of a bomb."""

_MOST_BYTES = 2**29  # of a file; one of LARGEST pixels has less than these
_FORMATS = ("PNG", "JPEG")
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I")
_ORIENTATION = 0x0112  # of EXIF
_CORRUPT_EXIF = "Corrupt EXIF data"  # how Pillow's warning begins
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image.

    Args:
        pixels: `[H, W, C]` float32 in [0, 1].
        remark: what there is to say about how it was read; mostly nothing.
    """

    pixels: np.ndarray
    remark: str = ""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    Args:
        size: height and width, before it is turned upright.
        mode: Pillow's word for its kind of pixels, such as "L" or "RGB".
        is_transparent: whether it has an alpha channel or a transparent colour.
    """

    size: Size
    mode: str
    is_transparent: bool


@contextlib.contextmanager
def strictly() -> Iterator[None]:
    """Makes errors of Pillow's warnings, of bombs above all, and undoes it.

    Raises:
        ConfigError: Pillow is not installed.
    """
    _pillow().preinit()  # which two threads must not do at once
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\.")
        # A JPEG with a broken second picture behind a good first one.
        warnings.filterwarnings("ignore", message="Image appears to be a malformed MPO")
        warnings.filterwarnings("always", message=_CORRUPT_EXIF)
        warnings.showwarning = _noticing(warnings.showwarning)
        yield


_noticed = threading.local()


def _noticing(show: Callable[..., None]) -> Callable[..., None]:
    """As `show`, but of a warning that EXIF data are broken the thread that meets it takes note."""

    def notice(message: Any, *arguments: Any, **options: Any) -> None:
        if str(message).startswith(_CORRUPT_EXIF):
            _noticed.corrupt_exif = True
        else:
            show(message, *arguments, **options)

    return notice


def look_at(path: Path) -> Header:
    """What the head of an image file says; no pixel is decoded. Inside of `strictly`.

    Raises:
        DataError: it is no image that can be read; names the file.
    """
    with _opened(path) as image:
        return Header((image.height, image.width), image.mode, image.has_transparency_data)


def decode(path: Path, *, size: Size, channels: Channels) -> Decoded:
    """The image in a file. Inside of `strictly`, from any thread.

    Args:
        path: a PNG or JPEG file, whatever its name ends in.
        size: H and W, to which it is brought.
        channels: 1 for grey, 3 for RGB.

    Raises:
        DataError: it is no image that can be read, or a bomb; names the file.
    """
    _noticed.corrupt_exif = False
    with _opened(path) as image:
        # A JPEG can be decoded at a half, a quarter or an eighth, which is all that is needed.
        image.draft(None, (2 * max(size), 2 * max(size)))
        upright, remark = _upright(image)
        plain = _plain(upright, channels)
        if plain.size != (size[1], size[0]):
            plain = plain.resize((size[1], size[0]), _pillow().Resampling.BILINEAR)
        pixels = np.asarray(plain, np.float32) / np.float32(255)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., np.newaxis], channels, axis=-1)
    return Decoded(pixels, remark)


def _pillow() -> Any:
    """Pillow's module `Image`, imported when it is first needed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(
            f"images are read by Pillow, which is missing ({error}); pip install 'jaxtrain[images]'"
        ) from None
    return Image


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The image in a file, its head read; what goes wrong meanwhile names the file."""
    module = _pillow()
    try:
        content = _content(path)
        if content.startswith(_PNG):
            # Pillow compares a PNG's checksums only where it is asked to.
            module.open(io.BytesIO(content), formats=_FORMATS).verify()
        with module.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise _too_large(image.width, image.height)
            _refuse_deep_colour(content)
            yield image
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    # Pillow's parsers raise whatever they stumble over: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise DataError(f"{path}: {_reason(error)}") from error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size  # `read(n)` takes n bytes at once, needed or not
        if size > _MOST_BYTES:
            raise DataError(f"larger than {_MOST_BYTES:,} bytes, which no image is")
        content = file.read(size)
    if not content:
        raise DataError("an empty file")
    return content


def _too_large(width: int, height: int) -> DataError:
    return DataError(
        f"{width}x{height} pixels once it is decoded, expected at most {LARGEST:,}: a bomb, or an "
        "image to make smaller"
    )


def _refuse_deep_colour(content: bytes) -> None:
    """A PNG of 16 bits a channel in more than grey, of which Pillow drops half without a word."""
    # Its first chunk is IHDR: width, height, bits, kind of colour.
    if content.startswith(_PNG) and content[24:25] == b"\x10" and content[25:26] != b"\x00":
        raise DataError(
            "16 bits a channel in colour or with alpha, of which Pillow reads 8; save it with 8"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or str(error)
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "neither a PNG nor a JPEG that can be read"
    if name.startswith("DecompressionBomb"):
        return f"a bomb: {error}"
    return f"broken or cut short ({error or name})"


def _upright(image: Any) -> tuple[Any, str]:
    """The image as it is meant to be looked at, and a remark where that can't be known."""
    turn = _pillow().Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    image.load()
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # broken EXIF data, as many cameras write them, are no broken image
        orientation, _noticed.corrupt_exif = None, True
    if orientation is None and _noticed.corrupt_exif:
        return image, "EXIF data that can't be read: taken as upright"
    how = turns.get(orientation) if isinstance(orientation, int) else None
    return (image if how is None else image.transpose(how)), ""


def _plain(image: Any, channels: Channels) -> Any:
    """The image in mode "L", "RGB" or, on the same scale of 0 to 255, "F"."""
    module = _pillow()
    if image.mode in _SIXTEEN_BITS:
        values = np.asarray(image)
        clear = image.info.get("transparency")
        white = np.where(values == clear, 65535, values) if isinstance(clear, int) else values
        return module.fromarray(white.astype(np.float32) / np.float32(257))
    if image.has_transparency_data:
        paper = module.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    return image.convert("L" if channels == 1 else "RGB")
