"""The tensors of a directory, in one safetensors file or in several with an index.

weights = Weights(Path("Llama-3.2-1B"))
weights.heads["model.norm.weight"]              # known from headers alone
weights.read("model.norm.weight")               # one tensor, and no more, in memory
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.files.names import check_name
from jaxtrain.models.hf.dtypes import STORED
from jaxtrain.models.hf.header import Head, read_header
from jaxtrain.models.hf.strict_json import quoted, read_object

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

# What torch.save writes.
_UNREAD = (".bin", ".pt", ".pth", ".ckpt")


class Weights:
    """The safetensors files of a directory. None is held open.

    Where both are there, the single file is taken, as transformers does.

    Args:
        directory: a directory, as `save_pretrained` of transformers writes it.
        single: what the single file is called.

    Attributes:
        heads: dtype and shape of each tensor, by name.
        files: what they stand in, the index among them where there is one.

    Raises:
        DataNotFoundError: there are no weights.
        ConfigError: there are, but in files that could execute code.
        DataError: a file is broken, missing, or not what the index says.
    """

    def __init__(self, directory: Path, *, single: str = SINGLE) -> None:
        self.directory = directory
        self.heads: dict[str, Head] = {}
        self.files: list[Path] = []
        self._files: dict[str, Path] = {}
        if (file := directory / single).is_file():
            self._add(file)
        elif (index := directory / INDEX).is_file():
            self._add_all(index)
        else:
            raise _none_in(directory)

    def place(self, name: str) -> str:
        """Where a tensor is, as a message says it."""
        return f"{self._files[name]}: tensor {quoted(name)}"

    def read(self, name: str) -> np.ndarray:
        """A tensor.

        Raises:
            DataError: the file has changed since its header was read.
        """
        head = self.heads[name]
        try:
            # Opened for each: what is mapped or cached goes with it. "pread", since pages of a
            # mapped file count as this process's memory, and a truncated one kills by SIGBUS.
            with safetensors.safe_open(self._files[name], framework="np", backend="pread") as file:
                tensor: np.ndarray = file.get_tensor(name)
        except (safetensors.SafetensorError, OSError) as error:
            raise DataError(f"{self.place(name)}: can't be read ({error})") from None
        if (tensor.shape, tensor.dtype) != (head.shape, STORED[head.dtype]):
            raise DataError(f"{self.place(name)}: the file has changed while it was read")
        return tensor

    def _add(self, path: Path) -> list[str]:
        found = read_header(path)
        self.files.append(path)
        for name in found:
            if name in self._files:
                raise DataError(
                    f"{path}: tensor {quoted(name)} is in {self._files[name].name}, too; expected "
                    "it once"
                )
            self._files[name] = path
        self.heads |= found
        return list(found)

    def _add_all(self, index: Path) -> None:
        listed = read_object(index, error=DataError).get("weight_map")
        if not isinstance(listed, dict) or not all(isinstance(f, str) for f in listed.values()):
            raise DataError(f"{index}: weight_map: expected names of tensors to names of files")
        self.files.append(index)
        for file in dict.fromkeys(listed.values()):
            self._add(self._shard(file, index))
        for name, file in listed.items():
            if name not in self._files or self._files[name].name != file:
                raise DataError(f"{index}: tensor {quoted(name)} is not in {file}, as it says")
        for name in self.heads:
            if name not in listed:
                raise DataError(f"{self.place(name)} is not in {INDEX}")

    def _shard(self, file: str, index: Path) -> Path:
        try:
            # A plain name. A link is not refused: in the cache of Hugging Face all files are.
            path = self.directory / check_name(file, what=f"{index}: a file of weight_map")
        except ConfigError as error:
            raise DataError(str(error)) from None
        if not path.is_file():
            raise DataError(f"{index}: {file} is not there; was all of it downloaded?")
        return path


def _none_in(directory: Path) -> ConfigError:
    unread = sorted(p.name for p in directory.iterdir() if p.suffix in _UNREAD)
    if unread:
        return ConfigError(
            f"{directory}: found {unread[0]}, and no {SINGLE}. Reading that file would execute "
            "what is in it, so it is not read; convert it where you trust it: transformers' "
            "from_pretrained(...), then save_pretrained(...)"
        )
    return DataNotFoundError(f"{directory}: neither {SINGLE} nor {INDEX} is there")
