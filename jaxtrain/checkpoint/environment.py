"""What the bits of a run depend on besides its inputs: versions, flags, random streams."""

from __future__ import annotations

import os
import platform
from typing import Any

import flax
import jax
import jaxlib.version
import numpy as np
import optax

from jaxtrain._version import __version__

_SETTINGS = (
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_default_matmul_precision",
    "jax_enable_x64",
)


def current() -> dict[str, Any]:
    """Versions and settings as plain JSON values. Initialises the device."""
    return {
        "jaxtrain": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "numpy": np.__version__,
        "platform": jax.default_backend(),
        "device_kind": jax.devices()[0].device_kind,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        **{name: str(getattr(jax.config, name)) for name in _SETTINGS},
    }


def changes(saved: dict[str, Any]) -> list[str]:
    """Where `saved` differs from `current()`, as `name: saved value -> present value`."""
    present = current()
    return [
        f"{name}: {saved.get(name)!r} -> {present.get(name)!r}"
        for name in sorted(saved.keys() | present.keys())
        if saved.get(name) != present.get(name)
    ]
