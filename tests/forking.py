"""Forks the processes of runs of several, from one that has imported everything already.

It imports, but never initialises a device, so that a fork of it is as good as a fresh interpreter,
and is there in a tenth of the time. It reads one JSON request a line, and answers with one:

    {"script": "tests/checkpoint/on_meshes.py", "count": 2, "arguments": [...], "devices": 4,
     "logs": DIRECTORY, "seconds": 60}                                    ->  {"codes": [0, 0]}

In each fork `main(port, number, count, *arguments)` of the script is called. Where one ends with
another code than 0, the others are killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

NEEDED = ("jax.numpy", "jaxtrain.checkpoint", "jaxtrain.parallel", "orbax.checkpoint")


def main() -> None:
    for name in NEEDED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # no fork need look through it
    for line in sys.stdin:
        print(json.dumps({"codes": run(json.loads(line))}), flush=True)


def run(request: dict) -> list[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    pids = [fork(request, port, number) for number in range(request["count"])]
    codes: dict[int, int] = {}
    deadline = time.monotonic() + request["seconds"]
    while len(codes) < len(pids):
        for pid in [pid for pid in pids if pid not in codes]:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                codes[pid] = os.waitstatus_to_exitcode(status)
        if any(codes.values()) or time.monotonic() > deadline:
            for pid in [pid for pid in pids if pid not in codes]:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    return [codes[pid] for pid in pids]


def fork(request: dict, port: int, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(Path(request["logs"]) / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for stream, source in enumerate((nothing, log, log)):
            os.dup2(source, stream)
        count, flags = request["count"], "--xla_force_host_platform_device_count={} {}"
        os.environ["XLA_FLAGS"] = flags.format(request["devices"], os.environ.get("XLA_FLAGS", ""))
        arguments = [str(port), str(number), str(count), *request["arguments"]]
        runpy.run_path(request["script"])["main"](*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # As at the end of an interpreter, but without the tear-down of the parent's modules.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return 0


if __name__ == "__main__":
    main()
