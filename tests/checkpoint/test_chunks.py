import ml_dtypes
import numpy as np
import pytest

from jaxtrain.checkpoint import chunks as module
from jaxtrain.checkpoint.arrays import (
    STORABLE,
    merge_shares,
    read_arrays,
    stored_arrays,
    write_arrays,
    write_share,
)
from jaxtrain.checkpoint.chunks import chunk_shape
from jaxtrain.checkpoint.shared import digest_of
from jaxtrain.checkpoint.spread import Spread
from jaxtrain.errors import CheckpointError

VALUES = np.arange(8 * 12, dtype=np.float32).reshape(8, 12)


def divided(array, part):
    counts = [length // each for length, each in zip(array.shape, part, strict=True)]
    pieces = {}
    for place in np.ndindex(*counts):
        starts = tuple(n * each for n, each in zip(place, part, strict=True))
        box = tuple(slice(s, s + each) for s, each in zip(starts, part, strict=True))
        pieces[starts] = array[box].copy()
    return Spread(array.shape, array.dtype, part, pieces)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 64)
    monkeypatch.setattr(module, "_IN_FLIGHT", 100)


@pytest.mark.usefixtures("small_chunks")
def test_pieces_are_one_array_for_orbax_and_have_its_digest(tmp_path):
    arrays = {"a/w": VALUES, "b": VALUES.astype(ml_dtypes.bfloat16)}
    spread = {"a/w": divided(VALUES, (4, 6)), "b": divided(arrays["b"], (8, 3))}
    write_arrays(tmp_path / "whole", arrays)
    write_arrays(tmp_path / "pieces", spread)
    for name, array in read_arrays(tmp_path / "pieces").items():
        assert array.dtype == arrays[name].dtype
        assert array.tobytes() == arrays[name].tobytes()
    digest = digest_of(arrays)
    assert digest_of(spread) == digest
    assert digest_of(stored_arrays(tmp_path / "whole")) == digest
    assert digest_of(stored_arrays(tmp_path / "pieces")) == digest


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", ["whole", "pieces"])
def test_any_boxes_are_read_of_what_is_stored(tmp_path, kind):
    array = VALUES if kind == "whole" else divided(VALUES, (4, 12))
    write_arrays(tmp_path / "arrays", {"w": array})
    stored = stored_arrays(tmp_path / "arrays")["w"]
    assert (stored.shape, stored.dtype) == ((8, 12), np.float32)
    for boxes in (
        [(slice(0, 8), slice(0, 12))],
        [(slice(0, 4), slice(0, 12)), (slice(4, 8), slice(0, 12))],
        [(slice(0, 8), slice(n, n + 3)) for n in (0, 3, 9)],
        [(slice(3, 5), slice(1, 2)), (slice(6, 7), slice(4, 12))],
    ):
        for box, part in zip(boxes, stored.read(boxes), strict=True):
            np.testing.assert_array_equal(part, VALUES[box])


@pytest.mark.parametrize("name", sorted(STORABLE))
def test_every_dtype_comes_back_in_parts(tmp_path, name):
    one = np.arange(8).astype(np.uint8)
    array = (one % 2 if name == "bool" else one).astype(np.dtype(name)).reshape(4, 2)
    other = {"whole": array, "pieces": divided(array, (2, 2)), "empty": array[:0]}
    write_arrays(tmp_path / "arrays", other)
    stored = stored_arrays(tmp_path / "arrays")
    for key in ("whole", "pieces"):
        (part,) = stored[key].read([(slice(1, 3), slice(0, 2))])
        assert (part.dtype, part.shape) == (array.dtype, (2, 2))
        assert part.tobytes() == array[1:3].tobytes()
        assert read_arrays(tmp_path / "arrays")[key].tobytes() == array.tobytes()
    assert stored["empty"].read([(slice(0, 0), slice(0, 1))])[0].shape == (0, 1)


def test_shares_are_merged(tmp_path):
    (tmp_path / "arrays").mkdir()
    arrays = {"w": divided(VALUES, (4, 12)), "n": np.ones(2)}
    write_share(tmp_path / "arrays", arrays)
    merge_shares(tmp_path / "arrays")
    back = read_arrays(tmp_path / "arrays")
    np.testing.assert_array_equal(back["w"], VALUES)
    np.testing.assert_array_equal(back["n"], np.ones(2))


def test_what_can_not_be_read_is_told(tmp_path):
    write_arrays(tmp_path / "arrays", {"w": divided(np.ones((64, 64)), (32, 64))})
    stored = stored_arrays(tmp_path / "arrays")["w"]
    for path in (tmp_path / "arrays").glob("ocdbt.process_pieces0/d/*"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"arrays: w can't be read: "):
        stored.read([(slice(0, 8), slice(0, 12))])


def test_what_no_process_has_written_is_told_and_is_not_zero(tmp_path):
    whole = divided(VALUES, (4, 12))
    half = Spread(whole.shape, whole.dtype, whole.part, {(0, 0): whole.pieces[0, 0]})
    write_arrays(tmp_path / "arrays", {"w": half})
    stored = stored_arrays(tmp_path / "arrays")["w"]
    np.testing.assert_array_equal(stored.read([(slice(0, 4), slice(0, 12))])[0], VALUES[:4])
    with pytest.raises(CheckpointError, match=r"w can't be read: NOT_FOUND"):
        stored.read([(slice(0, 8), slice(0, 12))])


@pytest.mark.parametrize(
    ("part", "chunk"),
    [
        ((), ()),
        ((7,), (7,)),
        ((1 << 23,), (1 << 22,)),  # 32 MB in two
        ((3, 1 << 23), (1, 1 << 22)),
        ((50257, 96), (50257, 48)),  # only 29 divides the rows
        ((8191, 4096), (8191, 512)),  # a prime: its columns are
        ((8191, 8191), (8191, 8191)),  # nothing does: left whole
    ],
)
def test_a_piece_is_divided_into_equal_chunks(part, chunk):
    assert chunk_shape(part, 4) == chunk
    assert all(whole % each == 0 for whole, each in zip(part, chunk, strict=True))
