from __future__ import annotations

import json
import logging
import multiprocessing
import pickle

import numpy as np
import pytest

from jaxtrain.data.text.token_cache import cached
from jaxtrain.data.text.tokens import Encoded, gathered
from jaxtrain.errors import ConfigError, DataError


def documents(counted=False):
    for number in range(50):
        tokens = np.arange(number, 2 * number + 1)
        yield Encoded(tokens, tokens % 2 == 0 if counted else None)


def keep(folder, make=documents, counted=False):
    options = {"vocab_size": 100, "counted": counted, "what": "numbers"}
    return cached(folder, "key", lambda: make(counted), **options)


def never(counted):
    raise AssertionError("they were there")


@pytest.mark.parametrize("counted", [False, True])
def test_made_once_then_mapped(tmp_path, counted):
    expected = gathered(documents(counted), vocab_size=100)
    for make in (documents, never):
        tokens = keep(tmp_path, make, counted)
        assert isinstance(tokens.flat, np.memmap)
        assert tokens.digest == expected.digest
        for name in ("flat", "offsets", "counts"):
            one, other = getattr(tokens, name), getattr(expected, name)
            assert (one is None) == (other is None)
            assert one is None or (one == other).all()
    names = {"tokens.json", "flat.npy", "offsets.npy"} | ({"counts.npy"} if counted else set())
    assert {path.name for path in (tmp_path / "key").iterdir()} == names
    assert not tokens.flat.flags.writeable


def test_another_process_maps_them_too(tmp_path):
    tokens = keep(tmp_path, counted=True)
    sent = pickle.dumps(tokens)
    assert len(sent) < 1000
    again = pickle.loads(sent)
    assert isinstance(again.flat, np.memmap)
    assert (again.flat == tokens.flat).all()
    assert (again.counts == tokens.counts).all()
    assert again.digest == tokens.digest


def flipped(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "a bit of the tokens": lambda entry: flipped(entry / "flat.npy"),
    "a bit of the offsets": lambda entry: flipped(entry / "offsets.npy"),
    "a cut file": lambda entry: (entry / "flat.npy").write_bytes(
        (entry / "flat.npy").read_bytes()[:-10]
    ),
    "an empty file": lambda entry: (entry / "flat.npy").write_bytes(b""),
    "no file": lambda entry: (entry / "offsets.npy").unlink(),
    "pickles": lambda entry: np.save(entry / "flat.npy", np.array([{}]), allow_pickle=True),
    "an archive": lambda entry: (entry / "flat.npy").write_bytes(b"PK\x03\x04" + b"\0" * 60),
    "another record": lambda entry: (entry / "tokens.json").write_text('{"digest": "0"}'),
    "a torn record": lambda entry: (entry / "tokens.json").write_text('{"dig'),
    "a record of nothing": lambda entry: (entry / "tokens.json").write_text("[]"),
    "a number": lambda entry: (entry / "tokens.json").write_text('{"digest": 0}'),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_made_anew(tmp_path, what, caplog):
    expected = keep(tmp_path).digest
    DAMAGE[what](tmp_path / "key")
    with caplog.at_level(logging.WARNING):
        assert keep(tmp_path).digest == expected
    assert "numbers: the tokens kept in" in caplog.text
    assert "they are made anew" in caplog.text
    assert keep(tmp_path, never).digest == expected
    assert json.loads((tmp_path / "key" / "tokens.json").read_text())["digest"] == expected


def test_who_is_stopped_leaves_nothing_that_counts(tmp_path, caplog):
    def broken(counted):
        yield Encoded(np.array([1, 2]))
        raise DataError("line 2")

    with pytest.raises(DataError, match="line 2"):
        keep(tmp_path, broken)
    assert list((tmp_path / "key").iterdir()) == []
    with caplog.at_level(logging.WARNING):
        keep(tmp_path)
    assert caplog.text == ""


def _keep_in_another(folder, start, digests):
    start.wait()
    digests.put(keep(folder, counted=True).digest)


def test_two_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, digests = context.Event(), context.Queue()
    both = [
        context.Process(target=_keep_in_another, args=(tmp_path, start, digests)) for _ in range(2)
    ]
    for process in both:
        process.start()
    start.set()
    found = {digests.get(timeout=120) for _ in both}
    for process in both:
        process.join()
    assert found == {gathered(documents(True), vocab_size=100).digest}
    assert keep(tmp_path, never, counted=True).digest in found


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"data\.cache: .*file.* can't be written .*; set data"):
        keep(tmp_path / "file")
