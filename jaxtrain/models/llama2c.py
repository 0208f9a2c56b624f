"""Checkpoints of llama2.c (github.com/karpathy/llama2.c), in their first format.

    config, params = load("stories260K.bin")
    read_config("stories260K.bin")               # of its header alone

Little-endian: seven int32 (width, width of the feed-forward, layers, heads, key/value heads,
vocabulary, length; a negative vocabulary says that the head is not the embedding), then float32
weights, layers stacked, matrices as [out, in], then two tables of RoPE that follow from the sizes,
then the head where it is not tied. RoPE turns neighbouring features there and the two halves of a
head here, so the rows of q and k are put in another order, once, here.

Axes: N layers, D width, H heads, G key/value heads, E head size, F width of the feed-forward,
V vocabulary.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.models.decoder import DecoderConfig

_HEADER = struct.Struct("<7i")
_LATER = 0x616B3432  # how the later formats begin
_NAMES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len")
_DTYPES = ("float32", "bfloat16", "float16")


def load(
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    sharding: jax.sharding.Sharding | None = None,
) -> tuple[DecoderConfig, dict[str, Any]]:
    """Read a checkpoint.

    Args:
        path: the file, `*.bin`.
        dtype: of the parameters: "float32", "bfloat16" or "float16".
        sharding: where they go; by default the default device.

    Returns:
        The config, and parameters as `initial_params` lays them out.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: it can't be read, or the dtype can't be.
        DataError: it is none, of a later format, or truncated.
    """
    path = Path(path)
    if dtype not in _DTYPES:
        raise ConfigError(f"dtype: expected one of {', '.join(_DTYPES)}, found {dtype!r}")
    with _opened(path) as (file, config):
        return config, _params(_Reader(file, path, dtype, sharding), config)


def read_config(path: str | os.PathLike[str]) -> DecoderConfig:
    """The sizes that the header of a checkpoint says, which it is as long as.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: it can't be read.
        DataError: it is none, of a later format, or truncated.
    """
    with _opened(Path(path)) as (_, config):
        return config


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, DecoderConfig]]:
    """The file behind its header, and what that says."""
    if not path.is_file():
        raise DataNotFoundError(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            config = _config(file.read(_HEADER.size), path)
            _refuse_size(path.stat().st_size, config, path)
            yield file, config
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from None


def _config(header: bytes, path: Path) -> DecoderConfig:
    if len(header) < _HEADER.size:
        raise DataError(f"{path}: expected a header of {_HEADER.size} bytes, found {len(header)}")
    sizes = dict(zip(_NAMES, _HEADER.unpack(header), strict=True))
    if sizes["dim"] == _LATER:
        raise DataError(
            f"{path}: a later format of llama2.c; expected the first one, which its export.py "
            "writes by --version 0"
        )
    try:
        return DecoderConfig.llama(
            vocab_size=abs(sizes["vocab_size"]),
            width=sizes["dim"],
            layers=sizes["n_layers"],
            heads=sizes["n_heads"],
            kv_heads=sizes["n_kv_heads"],
            hidden=sizes["hidden_dim"],
            tied=sizes["vocab_size"] > 0,
            max_length=sizes["max_seq_len"],
        )
    except ConfigError as error:
        raise DataError(f"{path}: is no checkpoint of llama2.c: {error}") from None


def _refuse_size(size: int, config: DecoderConfig, path: Path) -> None:
    """See that the file is as long as its header says; nothing was allocated yet."""
    queries, keys = config.width, config.kv_heads * config.head_dim
    layer = (
        2 * config.width + 2 * config.width * (queries + keys) + 3 * config.width * config.hidden
    )
    matrices = config.vocab_size * config.width * (1 if config.tied else 2)
    numbers = matrices + config.layers * layer + config.width + config.max_length * config.head_dim
    expected = _HEADER.size + 4 * numbers
    if size != expected:
        how = "truncated, or no checkpoint of llama2.c" if size < expected else "too long"
        raise DataError(f"{path}: {how}: its header means {expected:,} bytes, and it has {size:,}")


class _Reader:
    """Reads one array after the other."""

    def __init__(
        self, file: BinaryIO, path: Path, dtype: str, sharding: jax.sharding.Sharding | None
    ) -> None:
        self._file, self._path = file, path
        self._dtype, self._sharding = dtype, sharding

    def raw(self, *shape: int) -> np.ndarray:
        array = np.fromfile(self._file, "<f4", int(np.prod(shape)))
        if array.size != np.prod(shape):
            raise DataError(f"{self._path}: truncated while it was read")
        return array.reshape(shape)

    def __call__(self, *shape: int) -> jax.Array:
        return self.placed(self.raw(*shape))

    def placed(self, array: np.ndarray) -> jax.Array:
        array = np.array(array, jax.numpy.dtype(self._dtype), order="C")
        return jax.device_put(array, self._sharding)

    def kernel(self, layers: int, outputs: int, inputs: int) -> dict[str, jax.Array]:
        return {"kernel": self.placed(self.raw(layers, outputs, inputs).swapaxes(1, 2))}

    def turned(self, layers: int, heads: int, head_dim: int, inputs: int) -> dict[str, jax.Array]:
        """A kernel of q or k: within each head, first the even features, then the odd ones."""
        pairs = self.raw(layers, heads, head_dim // 2, 2, inputs).swapaxes(2, 3)
        matrix = pairs.reshape(layers, heads * head_dim, inputs)
        return {"kernel": self.placed(matrix.swapaxes(1, 2))}


def _params(read: _Reader, config: DecoderConfig) -> dict[str, Any]:
    many, width, hidden, size = config.layers, config.width, config.hidden, config.head_dim
    embedding = {"embedding": read(config.vocab_size, width)}
    attention: dict[str, Any] = {
        "norm": {"scale": read(many, width)},
        "q": read.turned(many, config.heads, size, width),
        "k": read.turned(many, config.kv_heads, size, width),
        "v": read.kernel(many, config.kv_heads * size, width),
        "o": read.kernel(many, width, config.heads * size),
    }
    mlp: dict[str, Any] = {"norm": {"scale": read(many, width)}}
    mlp["gate"] = read.kernel(many, hidden, width)
    mlp["down"] = read.kernel(many, width, hidden)
    mlp["up"] = read.kernel(many, hidden, width)
    params: dict[str, Any] = {
        "embedding": embedding,
        "layers": {"attention": attention, "mlp": mlp},
        "norm": {"scale": read(width)},
    }
    if not config.tied:
        read.raw(config.max_length, size)  # the two tables of RoPE
        params["head"] = {"kernel": read.placed(read.raw(config.vocab_size, width).T)}
    return params
