"""A run's decoder as files of Hugging Face, for others and for `generate --model`.

    exported = export(Trained.load("runs/char_lm/seed0-1a2b3c4d"), "out/model", dtype="bfloat16")
    print(exported.summary())

The tokenizer goes with it where it is a file that a directory of Hugging Face has; which token
begins a text, and which ends one, stands in config.json (`bounds.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from jaxtrain.data.text.json_tokenizer import JsonTokenizer
from jaxtrain.data.text.llama2c_tokenizer import Llama2cTokenizer
from jaxtrain.data.text.sentencepiece_tokenizer import SentencePieceTokenizer
from jaxtrain.models import hf
from jaxtrain.run.bounds import Bounds
from jaxtrain.run.trained import Trained
from jaxtrain.run.trained_decoder import decoder_of


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: the directory.
        family: whose decoder it is.
        parameters: how many numbers.
        dtype: what they are written in.
        tokenizer: the name of its file there; None for none.
        why: why there is none.
    """

    path: Path
    family: str
    parameters: int
    dtype: str
    tokenizer: str | None
    why: str

    def summary(self) -> str:
        """All of it, in a line."""
        tokenizer = (
            f"with {self.tokenizer}" if self.tokenizer else f"without a tokenizer: {self.why}"
        )
        return (
            f"{self.path}: config.json and {self.parameters:,} parameters of a {self.family} in "
            f"{self.dtype}, {tokenizer}"
        )


def export(trained: Trained, path: str | os.PathLike[str], *, dtype: str | None = None) -> Exported:
    """Write the decoder of a checkpoint.

    Args:
        trained: the checkpoint.
        path: a directory that is not there yet, or is empty.
        dtype: "float32", "bfloat16" or "float16"; by default that of the parameters.

    Raises:
        ConfigError: the model is no decoder, or one that transformers has not; or there is
            something at `path`. Nothing was written then.
        DataError: the tokenizer's file is another now.
        CheckpointError: it could not be written. Then nothing is there.
    """
    config, reader = decoder_of(trained)
    model: Any = trained.config.model
    extra: dict[str, Any] = {}
    files: Mapping[str, bytes] = {}
    why = f"its data, {trained.config.data.name!r}, have none"
    if reader is not None:
        extra = Bounds(reader.bos, () if reader.eos is None else (reader.eos,)).entries()
        files = _files_of(reader.tokenizer)
        why = _why_none(trained.config.data, reader.tokenizer)
    params = trained.merged()
    hf.save(path, config, params, dtype=dtype, extra=extra, beside=files)
    leaves = jax.tree.leaves(params)
    return Exported(
        path=Path(path),
        family=model.family,
        parameters=sum(leaf.size for leaf in leaves),
        dtype=dtype or leaves[0].dtype.name,
        tokenizer=next(iter(files), None),
        why=why,
    )


def _files_of(tokenizer: Any) -> dict[str, bytes]:
    """The files that a directory of Hugging Face has of a tokenizer, the tokenizer's own first."""
    if isinstance(tokenizer, JsonTokenizer):
        beside = tokenizer.beside
        own = {"tokenizer.json": tokenizer.file.data}
        return own if beside is None else own | {beside.path.name: beside.data}
    if isinstance(tokenizer, SentencePieceTokenizer):
        return {"tokenizer.model": tokenizer.file.data}
    return {}


def _why_none(data: Any, tokenizer: Any) -> str:
    # A mixture has none of its own: that of its parts.
    name = getattr(data, "tokenizer", type(tokenizer).__name__)
    if isinstance(tokenizer, Llama2cTokenizer):
        return f"{name} is one of llama2.c, which generate takes by --tokenizer"
    return f"{name!r} has no file"
