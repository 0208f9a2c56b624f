"""How much memory there is for a run, on the device that JAX runs on.

memory = available_memory()
memory.size, memory.whose                                # 16777216000, "this machine"
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import jax

_CONTAINER = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Memory:
    """Memory of something.

    Args:
        size: bytes, in use or not.
        whose: of what, for a message.
    """

    size: int
    whose: str


def available_memory() -> Memory | None:
    """That of the default device; None where it does not say.

    A CPU has the machine's, or what its container may use of it.
    """
    device = jax.devices()[0]
    if device.platform != "cpu":
        limit = (device.memory_stats() or {}).get("bytes_limit")
        return Memory(int(limit), f"the {device.device_kind}") if limit else None
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # a system without these names
        return None
    allowed = _allowed(_CONTAINER)
    if allowed is not None and allowed < machine:
        return Memory(allowed, "this container")
    return Memory(machine, "this machine")


def _allowed(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" is no limit
