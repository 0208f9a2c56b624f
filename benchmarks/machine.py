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
    """Whether an error of JAX, or its text, says that a device's memory does not suffice."""
    return "RESOURCE_EXHAUSTED" in str(error)


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
