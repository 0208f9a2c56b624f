"""The dtypes of weights: what files call them, and which of them parameters come in.

STORED["BF16"]                      # dtype(bfloat16)
target("float32")                   # dtype('float32'), or a ConfigError
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np

from jaxtrain.errors import ConfigError

STORED = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
"""What is read, by its name in a safetensors file."""

TARGETS = ("float32", "bfloat16", "float16")
"""What parameters may be, and what is written."""


def target(dtype: Any) -> np.dtype:
    """A dtype that parameters may be.

    Raises:
        ConfigError: it is another, or none.

    >>> target("bfloat16").name
    'bfloat16'
    """
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.name not in TARGETS:
        raise ConfigError(f"dtype: expected one of {', '.join(TARGETS)}, found {dtype!r}")
    return found
