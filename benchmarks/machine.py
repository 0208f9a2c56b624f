"""What a figure depends on besides the code: processor, cores, versions.

    facts = machine_facts(["jax", "torch"])
    facts["cpu"], facts["cores"], facts["versions"]["jax"]

No names of hosts, users or directories: results are published.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any


def machine_facts(packages: Iterable[str]) -> dict[str, Any]:
    """Facts in JSON values; packages that are not installed are left out.

    Args:
        packages: distributions whose versions matter.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in packages if (version := _version(name))},
    }


def is_out_of_memory(error: object) -> bool:
    """Whether an error of JAX or PyTorch, or its text, says that a device has too little memory."""
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "out of memory"))


def peak_bytes() -> int | None:
    """The most bytes of JAX's device in use at once, so far in this process; a CPU says None."""
    import jax  # processes of other frameworks import this file

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def _cpu_model() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
