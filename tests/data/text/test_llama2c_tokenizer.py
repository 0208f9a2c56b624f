from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.data.text.llama2c_tokenizer import Llama2cTokenizer
from jaxtrain.errors import DataError

STORY = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
)


@pytest.fixture(scope="module")
def real(shared_data):
    return Llama2cTokenizer(shared_data / "stories260k" / "tok512.bin")


def pieces():
    """Bytes, the letters a, b, c and the space, and some pieces with their scores."""
    found = [(0.0, b"<unk>"), (0.0, b"\n<s>\n"), (0.0, b"\n</s>\n")]
    found += [(0.0, b"<0x%02X>" % byte) for byte in range(256)]
    scored = [b"ab", b"bc", b"aa", b"abc", b" a", b"a ", b"\xc3\xa9"]
    found += [(-float(n), piece) for n, piece in enumerate(scored)]
    return found + [(-100.0 - n, letter) for n, letter in enumerate([b" ", b"a", b"b", b"c"])]


def written(path, found, longest=8):
    data = struct.pack("<i", longest)
    for score, piece in found:
        data += struct.pack("<fi", score, len(piece)) + piece
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return Llama2cTokenizer(written(tmp_path_factory.mktemp("small") / "t.bin", pieces()))


def slowly(tokenizer, text):
    """As run.c does it: the best pair of all, the first of equal ones, again and again."""
    found = pieces()
    ids = {piece: number for number, (_, piece) in reversed(list(enumerate(found)))}
    tokens = []
    for letter in " " + text if text else "":
        data = letter.encode()
        tokens += [ids[data]] if data in ids else [byte + 3 for byte in data]
    while True:
        best = None
        for place in range(len(tokens) - 1):
            merged = ids.get(found[tokens[place]][1] + found[tokens[place + 1]][1])
            if merged is not None and (best is None or found[merged][0] > best[0]):
                best = (found[merged][0], place, merged)
        if best is None:
            return tokens
        tokens[best[1] : best[1] + 2] = [best[2]]


@settings(max_examples=200, derandomize=True)
@given(st.text("abc é€", max_size=30))
def test_it_merges_as_the_plain_way_does(small, text):
    tokens = small.encode(text)
    assert tokens == slowly(small, text)
    assert small.decode(tokens) == text


def test_the_text_that_the_real_model_writes(real):
    tokens = real.encode(STORY)
    assert tokens[:11] == [403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315]
    assert real.decode([1, *tokens]) == STORY
    assert real.decode(real.encode("Zoë\n 日本 <s>")) == "Zoë\n 日本 <s>"
    assert (real.vocab_size, real.bos, real.eos) == (512, 1, 2)
    assert real.token_id("<0x00>") == 3


def test_files_that_are_none(tmp_path):
    path = tmp_path / "t.bin"
    good = written(path, pieces()).read_bytes()
    for content, why in [
        (b"", "the length of its longest piece first, found 0"),
        (b"\x08\0\0", "the length of its longest piece first"),
        (struct.pack("<i", -1) + good[4:], "found -1"),
        (struct.pack("<i", 2**31 - 1) + good[4:], "found 2147483647"),
        (struct.pack("<i", 3) + good[4:], "piece 0 has 5 bytes; the longest has 3"),
        (good[:-1], "has 1 bytes; the longest has 8, and 0 are left"),
        (good[:-5], "truncated in piece 26"),
        (good[:17], "1 pieces; expected 259 to 1,048,576"),
        (good + struct.pack("<fi", 0, -5), "has -5 bytes"),
        (good + struct.pack("<fi", float("nan"), 0), "has the score nan"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"t\.bin: not a tokenizer: .*{why}"):
            Llama2cTokenizer(path)
