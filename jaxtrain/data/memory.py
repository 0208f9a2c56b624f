"""How much of the machine's memory arrays may take, and a word for who asks for more.

    refuse_too_much(rows * 4, what="3,000 images of 64x64", remedy="give a smaller data.size")

Half of it: what is read has to be copied once on its way, to a device or into sets.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from jaxtrain.errors import ConfigError

# What a container may use, version 2 and version 1 of the kernel's groups.
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int:
    """Bytes of memory that this process may hope for: the machine's, or its container's."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _GROUPS:
        with contextlib.suppress(OSError, ValueError):  # no group, or "max"
            sizes.append(int(Path(name).read_text()))
    return min(sizes)


def refuse_too_much(needed: int, *, what: str, remedy: str) -> None:
    """Nothing, where `needed` bytes are at most half of the memory.

    Args:
        needed: bytes of all arrays that will be there at once.
        what: what takes them; begins the message.
        remedy: what the user can do; ends it.

    Raises:
        ConfigError: they are more.
    """
    allowed = machine_memory() // 2
    if needed > allowed:
        raise ConfigError(
            f"{what}: {_size(needed)} of memory, and this machine can give {_size(allowed)}, half "
            f"of what it has; {remedy}"
        )


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
