"""A line at the end of a file, whole or not at all.

append_line(run_directory / "metrics.jsonl", b'{"iteration": 1}\n')
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from jaxtrain.files.anchor import refuse_gone


def append_line(path: Path, line: bytes, *, sync: bool = False) -> None:
    """Add `line` by one write, so that a kill can't leave half of it; the file is made if missing.

    Args:
        path: its directory must be there.
        line: with its end.
        sync: bring it to the disk, too.

    Raises:
        OSError: it can't be written in full; what was written of it is taken back.
        CheckpointError: the directory was anchored, and is gone.
    """
    refuse_gone(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(descriptor, line)
            if written < len(line):  # a disk that is nearly full takes a part
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
