"""Bounds: which token begins a text and which end one, as a directory of Hugging Face says it.

    Bounds(bos=1, stop=(2,)).entries()      # of config.json, for `hf.save(..., extra=...)`
    read_bounds(directory)                  # Bounds(bos=1, stop=(2,)); None in files of others
    stop_tokens(directory)                  # {2}: what files of others say
    tokenizer_file(directory)               # Path(".../tokenizer.json")

What a run had stands in config.json twice: as transformers reads it, and under `jaxtrain`; since
transformers takes what is null for unknown, not for none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from jaxtrain.errors import ConfigError, DataError

_SAID = "jaxtrain"
_CONFIG = "config.json"


class Bounds(NamedTuple):
    """Where texts of a run begin and end.

    Attributes:
        bos: the token that begins each; None for none.
        stop: tokens that end one.
    """

    bos: int | None
    stop: tuple[int, ...]

    def entries(self) -> dict[str, Any]:
        """What config.json says of it."""
        stop = list(self.stop)
        return {
            "bos_token_id": self.bos,
            "eos_token_id": (stop if len(stop) > 1 else stop[0]) if stop else None,
            _SAID: {"bos": self.bos, "stop": stop},
        }


def read_bounds(directory: Path) -> Bounds | None:
    """What a run has said in config.json; None for files of others.

    Raises:
        DataError: it can't be read, or what it says is no token.
    """
    path = directory / _CONFIG
    said = _entry(path, _SAID)
    if said is None:
        return None
    if not isinstance(said, dict) or said.keys() != {"bos", "stop"}:
        raise DataError(f"{path}: {_SAID}: expected bos and stop, found {said!r:.80}")
    if said["bos"] is not None:
        _tokens([said["bos"]], f"{path}: {_SAID}.bos")
    return Bounds(said["bos"], tuple(_tokens(said["stop"], f"{path}: {_SAID}.stop")))


def stop_tokens(directory: Path) -> set[int]:
    """What `eos_token_id` says, which may be several: a chat model ends its turn by another one.

    Raises:
        DataError: a file can't be read, or what it says is no token.
    """
    for name in ("generation_config.json", _CONFIG):
        found = _entry(directory / name, "eos_token_id")
        if found is not None:
            return set(_tokens(found, f"{directory / name}: eos_token_id"))
    return set()


def tokenizer_file(directory: Path) -> Path:
    """The tokenizer in a directory.

    Raises:
        ConfigError: there is none.
    """
    names = ("tokenizer.json", "tokenizer.model")
    for name in names if directory.is_dir() else ():
        if (directory / name).is_file():
            return directory / name
    raise ConfigError(
        f"{directory}: no tokenizer is found ({' or '.join(names)} in a directory); give its file "
        "(--tokenizer FILE)"
    )


def _entry(path: Path, key: str) -> Any:
    """An entry of a JSON file; None where it, or the file, is not there."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text()).get(key)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: can't be read: {error}") from None


def _tokens(found: Any, place: str) -> list[int]:
    """One token, or several."""
    several = found if isinstance(found, list) else [found]
    for token in several:
        if type(token) is not int or token < 0:
            raise DataError(f"{place}: expected tokens, found {token!r:.80}")
    return several
