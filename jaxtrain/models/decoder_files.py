"""A decoder in files of others, whichever of the two kinds a path means.

    config = read_config("Llama-3.2-1B")                     # of its config.json alone
    config, params = load("stories260K.bin", dtype="float32")
    digests("stories260K.bin")                               # {"stories260K.bin": "b0a507e7ad0f…"}

A directory is one of Hugging Face (`jaxtrain.models.hf`), a file that ends in `.bin` a checkpoint
of llama2.c (`jaxtrain.models.llama2c`).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import jax

from jaxtrain.errors import ConfigError, DataNotFoundError
from jaxtrain.files.paths import is_there, typed_path
from jaxtrain.models import hf, llama2c
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.models.hf.config import NAME
from jaxtrain.models.hf.config import read_config as read_hf_config
from jaxtrain.models.hf.weights import Weights
from jaxtrain.parallel.layout import put

_ENDING = ".bin"


def read_config(path: str | os.PathLike[str]) -> DecoderConfig:
    """The sizes that the files say: of config.json, or of a header of 28 bytes.

    Raises:
        DataNotFoundError: they are not there.
        ConfigError: they can't be read, or are another model's.
        DataError: the header is that of no checkpoint, or the file is not as long as it says.
    """
    found = _found(path)
    return read_hf_config(found) if found.is_dir() else llama2c.read_config(found)


def load(
    path: str | os.PathLike[str], *, dtype: str | None = None, sharding: Any = None
) -> tuple[DecoderConfig, dict[str, Any]]:
    """The sizes, and the parameters.

    Args:
        path: a directory of Hugging Face, or a `.bin` of llama2.c.
        dtype: "float32", "bfloat16" or "float16"; by default that of the files.
        sharding: where they go, a tree of shardings like them; by default the default device. Of a
            directory, no more than a device's own pieces are read for it.

    Raises:
        DataNotFoundError: they are not there.
        ConfigError: they can't be read, or are another model's.
        DataError: they are broken.
    """
    found = _found(path)
    if found.is_dir():
        return hf.load(found, dtype=dtype, sharding=sharding)
    config, params = llama2c.load(found, dtype=dtype or "float32")
    if sharding is not None:  # of such a file, which is small, all is read
        params = jax.tree.map(put, params, sharding)
    return config, params


def digests(path: str | os.PathLike[str]) -> dict[str, str]:
    """The sha256 of each file that `load` reads, by its name; as `sha256sum` prints it.

    Of all their bytes, whatever there are of them: two fine-tunes of one model have the same
    config.json, sizes and headers.
    """
    found = _found(path)
    files = [found / NAME, *Weights(found).files] if found.is_dir() else [found]
    return {file.name: _sha256(file) for file in files}


def _found(path: str | os.PathLike[str]) -> Path:
    found = typed_path(os.fspath(path), what="weights")
    if not is_there(found):
        kind = "file" if found.suffix == _ENDING else "directory"
        raise DataNotFoundError(f"{found}: there is no such {kind}")
    if not found.is_dir() and found.suffix != _ENDING:
        raise ConfigError(
            f"{found}: expected a directory of Hugging Face, or a file of llama2.c that ends in "
            f"{_ENDING}, found another file"
        )
    return found


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{file}: can't be read ({error.strerror})") from None
