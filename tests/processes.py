"""Several processes of one run on this machine, over the loopback.

    said = run_together("tests/checkpoint/on_meshes.py", 2, directory, devices=4)
    codes, said = end_together(...)                       # where they may fail, or be killed

Each calls `main(port, number, count, *arguments)` of the script: the port is the coordinator's.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import compiling

ROOT = Path(__file__).parents[1]


def run_together(
    script: str, count: int, *arguments: object, devices: int = 1, seconds: float = 120
) -> list[str]:
    """What each of `count` processes has printed; all end well."""
    codes, said = end_together(script, count, *arguments, devices=devices, seconds=seconds)
    assert not any(codes), "\n".join(
        f"process {number} ended with {code}: {text}"
        for number, (code, text) in enumerate(zip(codes, said, strict=True))
    )
    return said


def end_together(
    script: str, count: int, *arguments: object, devices: int = 1, seconds: float = 120
) -> tuple[list[int], list[str]]:
    """With which code each ends, and what it has printed; where one fails the others are killed."""
    with tempfile.TemporaryDirectory() as logs:
        request = {
            "script": str(ROOT / script),
            "count": count,
            "arguments": list(map(str, arguments)),
            "devices": devices,
            "logs": logs,
            "seconds": seconds,
        }
        forker = _forker()
        forker.stdin.write(json.dumps(request) + "\n")
        forker.stdin.flush()
        codes = json.loads(forker.stdout.readline())["codes"]
        return codes, [(Path(logs) / str(number)).read_text() for number in range(count)]


@functools.cache
def _forker() -> Any:
    """One for all tests of this process."""
    environment = {**os.environ, **compiling.NOTHING, "JAX_PLATFORMS": "cpu"}
    forker = subprocess.Popen(
        [sys.executable, "-m", "tests.forking"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )

    def close() -> None:
        forker.stdin.close()
        forker.wait(timeout=30)
        forker.stdout.close()

    atexit.register(close)
    return forker
