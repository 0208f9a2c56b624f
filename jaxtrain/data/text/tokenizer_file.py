"""The bytes of a tokenizer's file, and the state of a tokenizer that has one.

file = TokenizerFile.read(Path("tokenizer.json"))
file.data, file.digest
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

_LARGEST = 2**28  # bytes; the largest in use have some 40 million


@dataclass(frozen=True)
class TokenizerFile:
    """What a tokenizer was read from.

    Args:
        path: where it lies.
        data: its bytes.
        digest: their sha256.
    """

    path: Path
    data: bytes = field(repr=False)
    digest: str

    @classmethod
    def read(cls, path: Path) -> TokenizerFile:
        """The file at `path`.

        Raises:
            DataNotFoundError: there is none.
            ConfigError: it can't be read.
            DataError: it is too large to be one.
        """
        try:
            with path.open("rb") as stream:
                data = stream.read(_LARGEST + 1)
        except FileNotFoundError:
            raise DataNotFoundError(
                f"tokenizer not found: {path.absolute()}; set data.tokenizer to its file (below "
                "data.root), to bytes or to characters"
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"data.tokenizer: {path} can't be read: {error}") from None
        if len(data) > _LARGEST:
            raise DataError(f"{path}: more than {_LARGEST:,} bytes, which no tokenizer has")
        return cls(path, data, hashlib.sha256(data).hexdigest())

    def state(self) -> Mapping[str, Any]:
        """What a checkpoint keeps of it: not the file, but which it was."""
        return {"kind": "file", "digest": self.digest}

    def broken(self, why: object) -> DataError:
        """The error that says what is wrong with it."""
        said = " ".join(str(why).split())
        return DataError(f"{self.path}: not a tokenizer: {said:.300}")

    def text(self) -> str:
        """Its bytes as text.

        Raises:
            DataError: they are none.
        """
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise self.broken(error) from None


def without_library(path: Path, name: str, error: ImportError) -> ConfigError:
    """The error about a library that is missing."""
    return ConfigError(
        f"data.tokenizer: {path} is read by {name}, which is missing ({error}); "
        "pip install 'jaxtrain[text]'"
    )
