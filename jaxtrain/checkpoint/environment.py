"""What the bits of a run depend on besides its inputs: versions, flags, threads, random streams."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
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
    threads = {"cpu_threads": cpu_threads()} if jax.default_backend() == "cpu" else {}
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
        **threads,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        **{name: str(getattr(jax.config, name)) for name in _SETTINGS},
    }


def cpu_threads() -> int:
    """How many threads XLA computes with on a CPU: how it shares out a sum depends on it.

    As many as this process may use cores, which is not how many the machine has.
    """
    # What XLA itself looks at first.
    reserved = os.environ.get("NPROC", "")
    if reserved.isdecimal() and 0 < int(reserved) < 2**31:
        return int(reserved)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def changes(saved: Mapping[str, Any]) -> list[str]:
    """Where `saved` differs from `current()`, as `name: saved value -> present value`.

    A checkpoint of a version that did not note the threads says nothing of them.
    """
    present = current()
    names = saved.keys() | present.keys()
    if "cpu_threads" not in saved and saved.get("platform") == "cpu":
        names -= {"cpu_threads"}
    return [
        f"{name}: {saved.get(name)!r} -> {present.get(name)!r}"
        for name in sorted(names)
        if saved.get(name) != present.get(name)
    ]
