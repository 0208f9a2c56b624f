"""Which of the run's processes this one is; no device is touched to know it.

if is_first():
    write()
"""

from __future__ import annotations

import jax


def several() -> bool:
    """Whether this process is one of several."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """Whether this is the process that writes what only one can write: the first, or the only."""
    return not several() or jax.process_index() == 0
