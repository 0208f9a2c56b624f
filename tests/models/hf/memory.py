"""What `load` takes of memory, in a process of its own: `python memory.py MODEL`.

Prints, as JSON, the bytes that MODEL has taken at most, and what its parameters take. It is loaded
twice, and the second time counts: what the compiler takes is another number on every machine (34
to 90 MB were seen for one program), and none of it is what `load` holds.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

import jax

from jaxtrain.models import hf


def resident(field: str) -> int:
    """VmRSS, or VmHWM for the peak: ru_maxrss counts what the process that started this one had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def forget_peak() -> None:
    """Give back what is free, and let VmHWM begin again at what is not."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def main(model: str) -> None:
    hf.load(model)
    forget_peak()
    before = resident("VmRSS")
    _, params = hf.load(model)
    peak = resident("VmHWM")
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    print(json.dumps({"peak": peak - before, "params": held}))


if __name__ == "__main__":
    main(*sys.argv[1:])
