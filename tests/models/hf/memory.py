"""What `load` takes of memory, in a process of its own: `python memory.py SMALL LARGE`.

Prints, as JSON, the bytes that LARGE has taken at most, and what its parameters take. SMALL is a
model of the same structure: with it, what loads and compiles anyway is there already.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import jax

from jaxtrain.models import hf


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def main(small: str, large: str) -> None:
    hf.load(small)
    before = resident()
    _, params = hf.load(large)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    print(json.dumps({"peak": peak - before, "params": held}))


if __name__ == "__main__":
    main(*sys.argv[1:])
