import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from jaxtrain.data import read_idx, read_labelled_images
from jaxtrain.errors import DataError


def idx(array, *, type_code=8):
    header = bytes([0, 0, type_code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


IMAGES = np.arange(5 * 3 * 2).reshape(5, 3, 2)
LABELS = np.array([0, 1, 2, 9, 4])


def written(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture(params=["file", "file.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_reads_what_was_written(path):
    array = read_idx(written(path, idx(IMAGES)), axes=3)
    assert array.dtype == np.uint8
    assert (array == IMAGES).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the first bytes 00 00 08 03, found an empty file"),
        (b"\x89PNG....", "found 89 50 4e 47"),
        (idx(LABELS), "with 3 axes: .* found 00 00 08 01"),
        (idx(IMAGES, type_code=0x0D), "found 00 00 0d 03"),
        (idx(IMAGES)[:9], "expected a header of 16 bytes, found 9"),
        (idx(IMAGES)[:-1], r"expected 30 bytes of values for shape \(5, 3, 2\), found 29"),
        (idx(IMAGES)[:16], "expected 30 bytes .* found 0"),
        (idx(IMAGES) + b"x", "expected 30 bytes .* found more"),
    ],
)
def test_broken_content(path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_idx(written(path, content), axes=3)
    assert str(path) in str(caught.value)


def test_gzip_cut_short_says_how_much_was_there(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (100, 10, 10))
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx(values))[:-3000])
    with pytest.raises(DataError, match=r"expected 10,000 bytes .* found [1-9],\d\d\d;"):
        read_idx(path, axes=3)


def test_gzip_checksum_is_compared(tmp_path):
    path = tmp_path / "a.gz"
    content = bytearray(gzip.compress(idx(IMAGES)))
    content[-6] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="corrupt gzip"):
        read_idx(path, axes=3)


def test_a_header_that_promises_too_much_takes_no_memory(path):
    for count in (2**32 - 1, 1500):
        header = bytes([0, 0, 8, 3]) + struct.pack(">3I", count, 1000, 1000)
        written(path, header + b"\0" * 100)
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=r"at most 2,147,483,648|truncated"):
                read_idx(path, axes=3)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2**21


def test_a_gzip_bomb_is_not_inflated_past_the_header(tmp_path):
    path = written(tmp_path / "bomb.gz", idx(LABELS) + b"\0" * 2**26)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="found more"):
            read_idx(path, axes=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**21


def test_labelled_images(tmp_path):
    images, labels = read_labelled_images(
        written(tmp_path / "i", idx(IMAGES)), written(tmp_path / "l", idx(LABELS)), num_classes=10
    )
    assert images.shape == (5, 3, 2)
    assert labels.tolist() == LABELS.tolist()


def test_counts_that_differ(tmp_path):
    images, labels = written(tmp_path / "i", idx(IMAGES)), written(tmp_path / "l", idx(LABELS[:4]))
    with pytest.raises(DataError, match=r"holds 5 images, .* holds 4 labels"):
        read_labelled_images(images, labels, num_classes=10)


def test_label_out_of_range(tmp_path):
    images, labels = written(tmp_path / "i", idx(IMAGES)), written(tmp_path / "l", idx(LABELS))
    with pytest.raises(DataError) as caught:
        read_labelled_images(images, labels, num_classes=4)
    assert str(caught.value) == (
        f"{labels}: label out of range: record 3 (counted from 0) is 9, allowed are 0 to 3; "
        "2 of 5 records are out of range"
    )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("shape", "found"),
    [((0, 3, 2), "0 of 3x2"), ((5, 3, 0), "5 of 3x0"), ((5, 0, 2), "5 of 0x2")],
)
def test_images_without_pixels_and_no_images_are_refused(tmp_path, shape, found):
    """Finding C17: a division by zero, long after."""
    images = written(tmp_path / "images", idx(np.zeros(shape)))
    labels = written(tmp_path / "labels", idx(np.zeros(shape[0])))
    with pytest.raises(DataError, match=f"images: expected images with pixels, found {found}"):
        read_labelled_images(images, labels, num_classes=10)
