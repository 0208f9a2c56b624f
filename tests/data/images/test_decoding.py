from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxtrain.data.images import decoding
from jaxtrain.data.images.decoding import decode, look_at, strictly
from jaxtrain.errors import ConfigError, DataError


def read(path, size=(2, 2), channels=3):
    with strictly():
        return decode(path, size=size, channels=channels)


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array) if mode is None else array
    image.save(path, **options)
    return path


SQUARE = np.array([[0, 51], [102, 255]], np.uint8)
COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


def test_grey_and_colour(tmp_path):
    grey = saved(tmp_path / "a.png", SQUARE)
    pixels = read(grey, channels=1).pixels
    assert (pixels.dtype, pixels.shape) == (np.float32, (2, 2, 1))
    assert np.allclose(pixels[..., 0], SQUARE / 255)
    assert np.allclose(read(grey).pixels, SQUARE[..., None].repeat(3, -1) / 255)
    colour = saved(tmp_path / "b.png", COLOURS)
    assert np.allclose(read(colour).pixels, COLOURS / 255)
    luma = read(colour, channels=1).pixels[..., 0] * 255
    assert np.allclose(luma, [[76, 150], [29, 255]], atol=0.6)


def test_what_is_transparent_is_white(tmp_path):
    rgba = np.dstack([COLOURS, np.array([[255, 0], [128, 255]], np.uint8)])
    pixels = read(saved(tmp_path / "a.png", rgba)).pixels
    assert np.allclose(pixels[0, 0], [1, 0, 0])
    assert np.allclose(pixels[0, 1], [1, 1, 1])
    assert np.allclose(pixels[1, 0], [0.5, 0.5, 1], atol=0.01)
    la = np.dstack([SQUARE, np.array([[0, 255], [255, 255]], np.uint8)])
    assert np.allclose(
        read(saved(tmp_path / "b.png", la), channels=1).pixels[..., 0],
        np.array([[255, 51], [102, 255]]) / 255,
    )


def test_palettes_bits_and_a_transparent_colour(tmp_path):
    palette = Image.new("P", (2, 2))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
    palette.putdata([0, 1, 2, 3])
    plain = tmp_path / "a.png"
    palette.save(plain)
    assert np.allclose(read(plain).pixels, COLOURS / 255)
    clear = tmp_path / "b.png"
    palette.save(clear, transparency=0)
    assert np.allclose(read(clear).pixels[0, 0], [1, 1, 1])
    assert np.allclose(read(clear).pixels[0, 1], [0, 1, 0])
    bits = Image.fromarray(SQUARE > 60)
    bits.save(tmp_path / "c.png")
    assert read(tmp_path / "c.png", channels=1).pixels[..., 0].tolist() == [[0, 0], [1, 1]]
    Image.fromarray(COLOURS).save(tmp_path / "d.png", transparency=(0, 255, 0))
    assert np.allclose(read(tmp_path / "d.png").pixels[0, 1], [1, 1, 1])


def test_sixteen_bits_of_grey_stay_as_fine_as_they_are(tmp_path):
    """Twelve bits in sixteen, as medical images have: cut to eight, they would be 16 greys."""
    deep = np.array([[0, 1], [4095, 65535]], np.uint16)
    pixels = read(saved(tmp_path / "a.png", deep), channels=1).pixels[..., 0]
    assert np.allclose(pixels, deep / 65535, rtol=1e-5)
    assert pixels[0, 1] > 0
    assert read(tmp_path / "a.png", channels=3).pixels.shape == (2, 2, 3)
    Image.fromarray(deep).save(tmp_path / "b.png", transparency=4095)
    assert np.allclose(
        read(tmp_path / "b.png", channels=1).pixels[..., 0], [[0, 1 / 65535], [1, 1]]
    )


def png(header: bytes, data: bytes, *more: tuple[bytes, bytes]) -> bytes:
    chunks = [(b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_of_colour_are_refused_by_name(tmp_path, kind, channels):
    path = tmp_path / "a.png"
    row = b"\0" + b"\1\2" * channels
    path.write_bytes(png(struct.pack(">IIBBBBB", 1, 1, 16, kind, 0, 0, 0), zlib.compress(row)))
    with pytest.raises(DataError, match=r"a\.png: 16 bits a channel in colour"):
        read(path)


def test_jpeg_grey_colour_and_cmyk(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    for mode in ("RGB", "CMYK", "L"):
        path = tmp_path / f"{mode}.jpg"
        Image.fromarray(flat).convert(mode).save(path, quality=95)
        found = read(path, size=(16, 16)).pixels.mean(axis=(0, 1)) * 255
        expected = [124] * 3 if mode == "L" else [200, 100, 50]
        assert np.allclose(found, expected, atol=4), mode


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_an_image_is_turned_upright(tmp_path, orientation, ending):
    from PIL import ImageOps

    rows = np.zeros((32, 48), np.uint8)
    rows[:16, :16] = 255  # a bright corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(rows).save(path, exif=exif)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        assert upright.size == ((48, 32) if orientation < 5 else (32, 48))
        expected = np.asarray(upright.resize((2, 2), Image.Resampling.BILINEAR)) / 255
    found = read(path, size=(2, 2), channels=1).pixels[..., 0]
    assert np.allclose(found, expected, atol=0.05)
    assert np.argmax(found) == np.argmax(expected)


def test_broken_exif_is_a_remark_and_no_broken_image(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(SQUARE).save(
        path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12\0\3\xff\xff\xff\xff"
    )
    found = read(path)
    assert found.pixels.shape == (2, 2, 3)
    assert "EXIF data that can't be read" in found.remark
    assert read(saved(tmp_path / "b.png", SQUARE)).remark == ""


def test_another_size_is_stretched_to_the_one_that_is_wanted(tmp_path):
    wide = np.zeros((10, 100), np.uint8)
    wide[:, 50:] = 255
    pixels = read(saved(tmp_path / "a.png", wide), size=(4, 4), channels=1).pixels[..., 0]
    assert np.allclose(pixels[:, 0], 0)
    assert np.allclose(pixels[:, -1], 1)  # nothing is cut off
    assert read(tmp_path / "a.png", size=(3, 7)).pixels.shape == (3, 7, 3)


def test_a_large_jpeg_is_shrunk_to_what_it_shows(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 255, 1024).astype(np.uint8), (1024, 1024))
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    pixels = read(tmp_path / "a.jpg", size=(8, 8), channels=1).pixels[..., 0]
    expected = (np.arange(8) + 0.5) / 8
    assert np.allclose(pixels, expected, atol=0.02)


def test_a_jpeg_that_is_a_little_larger_is_decoded_in_full(tmp_path):
    fine = np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)
    Image.fromarray(fine).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)) / 255
    found = read(tmp_path / "a.jpg", size=(32, 32), channels=1).pixels[..., 0]
    assert np.allclose(found, expected, atol=1e-3)


def test_the_content_decides_and_not_the_name(tmp_path):
    Image.fromarray(SQUARE).save(tmp_path / "a.jpg", format="PNG")
    assert np.allclose(read(tmp_path / "a.jpg", channels=1).pixels[..., 0], SQUARE / 255)
    Image.fromarray(SQUARE).save(tmp_path / "b.png", format="GIF")
    with pytest.raises(DataError, match=r"b\.png: neither a PNG nor a JPEG"):
        read(tmp_path / "b.png")


def test_broken_files_are_named(tmp_path):
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)).save(
        content, format="PNG"
    )
    good = content.getvalue()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(jpeg, format="JPEG")
    for name, broken in {
        "empty": b"",
        "cut": good[:-40],
        "flipped": bytes(flipped),
        "text": b"hello",
        "cut_jpeg": jpeg.getvalue()[:-20],
        "magic": good[:8],
    }.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(broken)
        with pytest.raises(DataError, match=rf"{name}\.png: "):
            read(path)
    with pytest.raises(DataError, match=r"none\.png: No such file"):
        read(tmp_path / "none.png")


def test_a_checksum_is_compared(tmp_path):
    """Other pixels under the old checksum: Pillow itself would take them."""
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    good, other = (zlib.compress(b"\0" + pixels + b"\0" + pixels) for pixels in (b"ab", b"xy"))
    content = png(header, good)
    assert len(good) == len(other)
    (tmp_path / "a.png").write_bytes(content)
    read(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(content.replace(good, other))
    with pytest.raises(DataError, match="broken or cut short"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [decoding.LARGEST, None])
def test_a_bomb_is_refused_by_its_header_and_takes_no_memory(tmp_path, monkeypatch, limit):
    """Also where somebody has told Pillow not to mind."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    path = tmp_path / "bomb.png"
    for side in (9_460, 20_000):  # Pillow warns of the one, and raises of the other
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        path.write_bytes(png(header, zlib.compress(bytes(2**20))))
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=r"bomb\.png: .*(bomb|pixels)"):
                read(path)
            assert tracemalloc.get_traced_memory()[1] < 2**24
        finally:
            tracemalloc.stop()


def test_a_file_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_MOST_BYTES", 50)
    with pytest.raises(DataError, match="larger than 50 bytes"):
        read(saved(tmp_path / "a.png", SQUARE))


def test_only_pillows_warnings_become_errors_and_only_for_a_while():
    before = list(warnings.filters), warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with strictly():
            warnings.warn("of somebody else", UserWarning, stacklevel=1)
    assert (warnings.filters, warnings.showwarning) == before


def test_without_pillow_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"pip install 'jaxtrain\[images\]'"), strictly():
        pass


def test_what_a_header_says(tmp_path):
    saved(tmp_path / "a.png", np.zeros((3, 5, 4), np.uint8))
    with strictly():
        header = look_at(tmp_path / "a.png")
    assert (header.size, header.mode, header.is_transparent) == ((3, 5), "RGBA", True)
