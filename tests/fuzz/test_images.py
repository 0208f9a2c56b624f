"""Image files that are broken or hostile: an error that names them, or pixels; bounded memory.

400 cases: 100 damaged PNG, 100 damaged JPEG, 100 headers of nonsense of each.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxtrain.data.images.decoding import decode, look_at, strictly
from jaxtrain.errors import DataError

FUZZ = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MOST = 2**25  # bytes that Python's allocator may see for an image of a kilobyte
NOISE = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)


def saved(image, form, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return stream.getvalue()


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = 6
    return data


GREY, RGB, RGBA = (Image.fromarray(a) for a in (NOISE[..., 0], NOISE[..., :3].copy(), NOISE))
PNGS = [
    saved(GREY, "PNG"),
    saved(RGB, "PNG", exif=exif()),
    saved(RGBA, "PNG"),
    saved(RGB.quantize(16), "PNG", transparency=3),
    saved(Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), "PNG"),
]
JPEGS = [
    saved(GREY, "JPEG"),
    saved(RGB, "JPEG", exif=exif()),
    saved(RGB, "JPEG", progressive=True),
    saved(RGB.convert("CMYK"), "JPEG"),
]


@st.composite
def damaged(draw, whole):
    """One of some files: cut, with bytes changed, doubled, or taken out."""
    content = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "set", "cut", "double", "drop"]))
        if kind == "flip" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            content[place : place + 4] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "cut":
            del content[place:]
        elif kind == "double":
            content[place:place] = content[place : place + draw(st.integers(1, 64))]
        elif kind == "drop":
            del content[place : place + draw(st.integers(1, 64))]
    return bytes(content)


@pytest.fixture
def reading(tmp_path):
    """Decodes the bytes; None where they are refused."""

    def reading(content):
        path = tmp_path / "fuzzed.png"
        path.write_bytes(content)
        tracemalloc.start()
        try:
            with strictly():
                header = look_at(path)
                found = [decode(path, size=(8, 6), channels=c).pixels for c in (1, 3)]
        except DataError:
            return None
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < MOST, peak
        assert min(header.size) > 0
        for pixels, channels in zip(found, (1, 3), strict=True):
            assert (pixels.shape, pixels.dtype) == ((8, 6, channels), np.float32)
            assert pixels.min() >= 0
            assert pixels.max() <= 1
        return found

    return reading


@FUZZ
@given(content=damaged(PNGS))
def test_damaged_pngs(reading, content):
    found = reading(content)
    # A PNG has checksums: what has been changed and still is one, is so in what nobody reads.
    whole = [reading(png) for png in PNGS] if found is not None else []
    assert found is None or any(np.allclose(found[1], good[1]) for good in whole)


@FUZZ
@given(content=damaged(JPEGS))
def test_damaged_jpegs(reading, content):
    reading(content)


@FUZZ
@given(
    width=st.integers(0, 30) | st.integers(0, 2**32 - 1),
    height=st.integers(0, 30) | st.integers(0, 2**32 - 1),
    bits=st.sampled_from([1, 2, 4, 8, 16, 0, 3, 255]),
    kind=st.sampled_from([0, 2, 3, 4, 6, 1, 255]),
    interlaced=st.integers(0, 2),
    more=st.lists(
        st.tuples(st.sampled_from([b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"acTL", b"pHYs"]),
                  st.binary(max_size=30)), max_size=3),
    size=st.integers(0, 4000),
)  # fmt: skip
def test_headers_of_nonsense(reading, width, height, bits, kind, interlaced, more, size):
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(bytes(size))), (b"IEND", b"")]
    reading(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
    )


@FUZZ
@given(content=st.binary(max_size=200).map(lambda tail: b"\xff\xd8\xff" + tail))
def test_what_only_begins_as_a_jpeg(reading, content):
    assert reading(content) is None
