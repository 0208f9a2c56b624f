"""A safetensors file of arrays, as transformers and PEFT read it.

write_tensors(directory / "adapter_model.safetensors", {"lora_A.weight": array})
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors

# transformers refuses a file that does not say so.
_METADATA = {"format": "pt"}


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a file that is not there yet.

    Args:
        path: the file.
        tensors: arrays by name, each C-contiguous: the writer reads so many bytes from where an
            array begins, whatever its strides are.

    Raises:
        OSError, safetensors.SafetensorError: it could not be written.
    """
    specs = {
        name: safetensors.TensorSpec(
            dtype=tensor.dtype.name,
            shape=tensor.shape,
            data_ptr=tensor.ctypes.data,
            data_len=tensor.nbytes,
        )
        for name, tensor in tensors.items()
    }
    path.touch()
    usual = path.stat().st_mode  # the writer makes a file that only its owner may read
    safetensors.serialize_file(specs, path, metadata=_METADATA)
    path.chmod(usual)
