"""Text as its tokens come: whole characters, and nothing twice."""

from __future__ import annotations

import pytest

from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.generation import TextStream

TEXT = "né 日本 🙂!"


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_characters_come_whole(size):
    tokenizer = ByteTokenizer()
    stream = TextStream(tokenizer.decode, tokenizer.encode("prompt: "))
    tokens = tokenizer.encode(TEXT)
    parts = [stream.added(tokens[at : at + size]) for at in range(0, len(tokens), size)]
    assert "".join(parts) == TEXT
    assert stream.rest() == ""
    if size == 1:
        assert parts[:4] == ["n", "", "é", " "]


def test_what_is_never_whole_comes_at_the_end():
    tokenizer = ByteTokenizer()
    stream = TextStream(tokenizer.decode, [])
    assert stream.added("aé".encode()[:2]) == "a"
    assert stream.rest() == "�"
    assert stream.rest() == ""


def test_what_is_broken_does_not_hold_up_the_rest():
    stream = TextStream(ByteTokenizer().decode, [])
    assert stream.added([0xFF] * 5) == "�" * 2
    assert stream.added([0xC3]) == "�"
    assert stream.added(b"a") == "�" * 3 + "a"


def test_a_character_behind_broken_bytes_is_whole():
    stream = TextStream(ByteTokenizer().decode, [])
    said = [stream.added([byte]) for byte in b"\xff\xff\xff" + "😀!".encode()]
    assert "".join(said) == "���😀!"


def test_a_character_that_the_prompt_begins_is_new():
    stream = TextStream(ByteTokenizer().decode, "xé".encode()[:2])
    assert stream.added("é".encode()[1:]) == "é"


def test_the_space_before_a_word_stays():
    """A tokenizer that leaves out the space in front of a text, as SentencePiece does."""
    words = {1: " once", 2: " upon", 3: "ly"}

    def decode(tokens):
        return "".join(words[token] for token in tokens).removeprefix(" ")

    stream = TextStream(decode, [1])
    assert stream.added([2]) == " upon"
    assert stream.added([3, 2]) == "ly upon"
    begun = TextStream(decode, [])
    assert [begun.added([1]), begun.added([2])] == ["once", " upon"]
