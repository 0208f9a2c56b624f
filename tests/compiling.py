"""What processes compile, in one directory: what one has compiled the next one need not.

    os.environ |= compiling.kept_in(directory)              # every process from now on
    Popen(command, env={**os.environ, **compiling.READS})   # one that is to be killed
    run(command, env={**os.environ, **compiling.NOTHING})   # one whose memory is measured
    run(command, env={**os.environ, **compiling.FULLY})     # one that computes as a user's would
    compiling.exchange(directory, that_of_all_workers)      # while nobody writes in the first

JAX writes an entry in its place, not beside it: whoever reads it meanwhile finds half of it, and
what a process that is killed leaves stays so. Such an entry is never used, since its checksum is
wrong, but every process that meets it warns, and compiles. So each worker of a session makes a
directory of its own, no two processes write there at a time, and none that may be killed writes at
all.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import jaxlib.version

READS = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9"}
"""For a process that reads what is there, and writes nothing."""

_QUICK = "--xla_backend_optimization_level=0"
if jaxlib.version.__version_info__ < (0, 11):  # XLA ends a process for a flag that it knows no more
    _QUICK += " --xla_cpu_use_fusion_emitters=false"
_FLAGS = os.environ.get("JAXTRAIN_TEST_XLA_FLAGS", _QUICK)

# A worker of pytest-xdist begins with what its parent has set.
FULLY = {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "").replace(_FLAGS, "").strip()}
"""For a process whose programs are optimised as anybody's are: what is killed, what README says."""

NOTHING = {"JAX_ENABLE_COMPILATION_CACHE": "0"}
"""For a process that compiles all it needs: its bytes are counted."""


def quickly() -> None:
    """Let XLA take a third of the time for what this process compiles, and for slower programs.

    Before JAX is used. `JAXTRAIN_TEST_XLA_FLAGS` gives other flags; empty, XLA's own levels.
    """
    os.environ["XLA_FLAGS"] = " ".join(filter(None, (FULLY["XLA_FLAGS"], _FLAGS)))


def devices(number: int) -> dict[str, str]:
    """For a process that has so many on one CPU, and compiles all it needs."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={number}"
    return {**NOTHING, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


def kept_in(directory: Path) -> dict[str, str]:
    """The variables by which JAX keeps all that it compiles."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(directory),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def exchange(own: Path, shared: Path) -> None:
    """Give what only `own` has, and take what only `shared` has; a link is there whole or not."""
    for source, target in ((own, shared), (shared, own)):
        for name in set(os.listdir(source)) - set(os.listdir(target)):
            with contextlib.suppress(FileExistsError):  # another worker was quicker
                os.link(source / name, target / name)


def mapped() -> int:
    """How many pieces of memory this process has mapped: each compiled program has some of its own.

    Linux allows 65,530; 0 where the system does not say.
    """
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0
