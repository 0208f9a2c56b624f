"""Small texts, and real tokenizers where there are any."""

from __future__ import annotations

import json

import pytest

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "slept", "."]


@pytest.fixture(scope="session")
def word_file(tmp_path_factory):
    """A small tokenizer.json: a word a token, `<s>`, `</s>` and `<unk>` special."""
    vocabulary = {word: n for n, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    path = tmp_path_factory.mktemp("words") / "tokenizer.json"
    special = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, token in enumerate(["<unk>", "<s>", "</s>"])
    ]
    record = {
        "version": "1.0",
        "truncation": {
            "direction": "Right",
            "max_length": 2,
            "strategy": "LongestFirst",
            "stride": 0,
        },
        "padding": {
            "strategy": {"Fixed": 7},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<unk>",
        },
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }
    path.write_text(json.dumps(record))
    return path


@pytest.fixture(scope="session")
def expected(shared_data):
    """expected("gpt2"): 20 texts, and the tokens that this tokenizer is known to give."""
    folder = shared_data / "tokenizers"

    def read(name):
        lines = (folder / "kitoken_small_input.txt").read_text(encoding="utf-8").split("\n")
        # Written so that editors keep them: a line's end, and a space at the end of a text.
        texts = [line.replace("\\n", "\n").replace("\\s", " ") for line in lines if line]
        rows = (folder / f"kitoken_small_tokens_{name}.txt").read_text().split("\n")
        tokens = [[int(cell) for cell in row.split(",") if cell.strip()] for row in rows]
        assert len(texts) == 20
        return texts, tokens[:20]

    return read
