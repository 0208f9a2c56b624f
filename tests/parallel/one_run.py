"""One of several processes of a run of the command line.

    main(port, number, count, *words)            # as `tests/processes.py` has it called

What it prints last is the code with which the command would end.
"""

from __future__ import annotations

import os

from jaxtrain.main import main as command


def main(port: str, number: str, count: str, *words: str) -> None:
    os.environ |= {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": count,
        "JAX_PROCESS_ID": number,
    }
    print(f"code {command([*words])}")
