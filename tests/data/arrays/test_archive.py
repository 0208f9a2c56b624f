from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxtrain.data import memory
from jaxtrain.data.arrays.archive import ALONE, ArrayFile
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

PACKAGE = Path(__file__).parents[3] / "jaxtrain"


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_has_saved(tmp_path, save):
    arrays = {"x": np.arange(12.0).reshape(3, 4), "y y": np.array(["a", "b", "c"])}
    save(tmp_path / "a.npz", **arrays)
    file = ArrayFile(tmp_path / "a.npz")
    assert {name: str(head) for name, head in file.heads.items()} == {
        "x": "float64[3, 4]",
        "y y": "text[3]",
    }
    for name, array in arrays.items():
        assert (file.read(name) == array).all()
    assert file.faults == {}


def test_one_array_and_the_content_that_decides(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    os.rename(tmp_path / "a.npy", tmp_path / "a.npz")
    file = ArrayFile(tmp_path / "a.npz")
    assert list(file.heads) == [ALONE]
    assert file.read(ALONE).tolist() == [0, 1, 2]


def test_one_that_can_not_be_read_hides_no_other(tmp_path):
    objects = np.array([{}], object)
    path = archive(tmp_path / "a.npz", [
        ("x.npy", npy(np.arange(3))), ("o.npy", npy(objects, allow_pickle=True)), ("t.txt", b"hi"),
    ])  # fmt: skip
    file = ArrayFile(path)
    assert list(file.heads) == ["x"]
    assert "pickles" in file.faults["o"]
    assert "NumPy's format" in file.faults["t.txt"]
    with pytest.raises(DataError, match="pickles"):
        file["o"]
    assert file["x"].shape == (3,)
    with pytest.raises(DataError, match="pickles"):
        ArrayFile(archive(tmp_path / "b.npz", [("o.npy", npy(objects, allow_pickle=True))]))


def test_what_is_no_file_of_arrays(tmp_path):
    with pytest.raises(DataNotFoundError, match="none"):
        ArrayFile(tmp_path / "none.npz")
    with pytest.raises(ConfigError, match="expected a file of arrays"):
        ArrayFile(tmp_path)
    with pytest.raises(ConfigError, match="can't be opened"):
        ArrayFile(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="something else"):
        ArrayFile(tmp_path / "pipe")
    for content, said in ((b"", "nothing"), (pickle.dumps([1]), "80 04"), (b"PK\5\6", "broken")):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(DataError, match=said):
            ArrayFile(tmp_path / "a")


def test_members_of_other_kinds(tmp_path):
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = archive(tmp_path / "a.npz", [("x.npy", npy(np.arange(3)))], compression)
        with pytest.raises(DataError, match="compressed in another way"):
            ArrayFile(path)
    content = bytearray(archive(path, [("x.npy", npy(np.arange(3)))]).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        ArrayFile(path)
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, [("x.npy", npy(np.arange(3)))] * 2)
    with pytest.raises(DataError, match="two arrays of the name 'x'"):
        ArrayFile(path)
    archive(path, [("x.npy", npy(np.arange(3))), ("x", npy(np.arange(3)))])
    with pytest.raises(DataError, match="two arrays of the name 'x'"):
        ArrayFile(path)


def test_a_checksum_is_compared(tmp_path):
    array = np.arange(1000)
    np.savez(tmp_path / "a.npz", x=array)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(array.tobytes()) + 4001] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"broken archive \(Bad CRC"):
        ArrayFile(tmp_path / "a.npz").read("x")


def claim(shape) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


def test_claims_take_no_memory(tmp_path):
    (tmp_path / "a.npy").write_bytes(claim("(1000000000, 9)") + bytes(80))
    archive(tmp_path / "stored.npz", [("x.npy", claim("(9000000,)"))], zipfile.ZIP_STORED)
    archive(tmp_path / "deflated.npz", [("x.npy", claim("(9000000,)") + bytes(80))])
    # The archive itself lies about what will come out.
    lying = archive(tmp_path / "lying.npz", [("x.npy", claim("(9000000,)") + bytes(80))])
    content = bytearray(lying.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 80_000_000)
    lying.write_bytes(content)
    tracemalloc.start()
    try:
        for name in ("a.npy", "stored.npz", "deflated.npz", "lying.npz"):
            with pytest.raises(DataError, match=r"truncated: its header claims [0-9,]+ bytes"):
                ArrayFile(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("save", [np.save, np.savez])
def test_a_byte_too_few_shows_before_anything_is_read(tmp_path, save):
    with (tmp_path / "a").open("wb") as file:
        save(file, np.arange(5))
    content = (tmp_path / "a").read_bytes()
    if save is np.save:
        (tmp_path / "a").write_bytes(content[:-1])
    else:
        member = npy(np.arange(5))[:-1]
        archive(tmp_path / "a", [("x.npy", member)], zipfile.ZIP_STORED)
    with pytest.raises(DataError, match=r"claims 40 bytes of values"):
        ArrayFile(tmp_path / "a")


def test_a_bomb_is_refused_where_it_is_more_than_half_of_the_memory(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(2**22))
    file = ArrayFile(tmp_path / "bomb.npz")
    monkeypatch.setattr(memory, "machine_memory", lambda: 2**25)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"x: float64\[4194304\]: 32.0 MiB .* give 16.0 MiB"):
            file.read("x")
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_more_than_the_header_says_is_not_inflated(tmp_path):
    path = archive(tmp_path / "a.npz", [("x.npy", npy(np.arange(3)) + bytes(2**25))])
    file = ArrayFile(path)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="found more"):
            file.read("x")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_nothing_in_the_package_unpickles():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        for word in ("np.load(", "numpy.load(", "import pickle", "allow_pickle=True"):
            assert word not in text, path


def test_more_arrays_than_anybody_has_are_refused(tmp_path):
    """Each was looked at by reading the whole archive's list again: a thousand took 29 s."""
    path = tmp_path / "many.npz"
    np.savez(path, **{f"a{n}": np.zeros(1) for n in range(101)})
    with pytest.raises(DataError, match="101 arrays; expected at most 100"):
        ArrayFile(path)
