"""What processes compile, in one directory: what one has compiled the next one need not.

    os.environ |= compiling.kept_in(directory)              # every process from now on
    Popen(command, env={**os.environ, **compiling.READS})   # one that is to be killed
    run(command, env={**os.environ, **compiling.NOTHING})   # one whose memory is measured
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

READS = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9"}
"""For a process that reads what is there, and writes nothing."""

NOTHING = {"JAX_ENABLE_COMPILATION_CACHE": "0"}
"""For a process that compiles all it needs: its bytes are counted, or it has eight devices."""


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
