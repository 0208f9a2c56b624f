"""Which tokenizer an option names, and which one a checkpoint has known.

    read_tokenizer("bytes", root=".")                        # ByteTokenizer
    read_tokenizer("tok512.bin", root="data/stories260k")    # Llama2cTokenizer
    restored(saved, "tok512.bin", root="data/stories260k")   # the same, or an error

"bytes" and "characters" are words; a file of that name is `./bytes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.data.text.json_tokenizer import JsonTokenizer
from jaxtrain.data.text.llama2c_tokenizer import Llama2cTokenizer
from jaxtrain.data.text.sentencepiece_tokenizer import SentencePieceTokenizer
from jaxtrain.data.text.tokenizer import Tokenizer
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files.paths import typed_path

CHARACTERS = "characters"
"""The tokenizer that is fitted: it can't be read before the training text is."""

_BY_ENDING: Mapping[str, Callable[[Path], Tokenizer]] = {
    ".json": JsonTokenizer,
    ".model": SentencePieceTokenizer,
    ".bin": Llama2cTokenizer,
}


def read_tokenizer(name: str, *, root: str) -> Tokenizer:
    """The tokenizer that `name` means.

    Args:
        name: "bytes", or a file: `.json` of tokenizers, `.model` of SentencePiece, `.bin` of
            llama2.c; relative to `root`.
        root: a directory.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: its name has another ending, or the library that reads it is missing.
        DataError: it is broken.
    """
    if name == "bytes":
        return ByteTokenizer()
    path = typed_path(root, what="data.root") / typed_path(name, what="data.tokenizer")
    kind = _BY_ENDING.get(Path(name).suffix)
    if kind is None:
        raise ConfigError(
            f"data.tokenizer: expected bytes, characters, or a file that ends in "
            f"{', '.join(_BY_ENDING)}; found {name!r}"
        )
    return kind(path)


def restored(state: Any, name: str, *, root: str) -> Tokenizer:
    """The tokenizer that said `state` of itself.

    Args:
        state: what `Tokenizer.state` gave.
        name: as for `read_tokenizer`.
        root: likewise.

    Raises:
        DataError: `state` is none of a tokenizer, or its file is another now.
        ConfigError: as `read_tokenizer`.
    """
    kind = state.get("kind") if isinstance(state, Mapping) else None
    if kind == "characters" and isinstance(state.get("characters"), str):
        return CharacterTokenizer(state["characters"])
    if kind == "bytes":
        return ByteTokenizer()
    if kind != "file":
        raise DataError(f"the tokenizer of the run: expected its state, found {state!r:.200}")
    found = read_tokenizer(name, root=root)
    if found.state() != state:
        raise DataError(
            f"{name}: not the tokenizer that the model was trained with: its sha256 was "
            f"{state.get('digest')}, now {found.state().get('digest')}; restore the file"
        )
    return found
