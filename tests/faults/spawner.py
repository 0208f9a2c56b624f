"""Forks processes that run the command line, from one that has imported everything already.

A sweep kills a hundred processes; each of them importing jax and the rest anew would take minutes.
This process imports, traces and draws, but never initialises a device, so that a fork of it is as
good as a fresh interpreter. It reads one JSON request a line, and answers with one:

    {"argv": [...], "inject": [["kill_at", {...}]], "log": "...", "streams": null,
     "to_its_end": false}                                          ->  {"pid": 123}
    {"wait": 123, "seconds": 60}                                   ->  {"status": 75, "peak": 1e8}

Of one that is left alone `to_its_end` others use what it has compiled (tests/compiling.py).

`streams` are the paths of standard input, output and error. Where the first is a terminal, the
process has it for its own: closing it hangs up.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

_NEEDED = (
    "jaxtrain.main",
    "jaxtrain.run.experiment",
    "jaxtrain.hooks.validation",
    "jaxtrain.report.confusion",
    "jaxtrain.report.curves",
    "jaxtrain.report.page",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "orbax.checkpoint",
    "sklearn.datasets",
    "sklearn.model_selection",
)


def main() -> None:
    for name in _NEEDED:
        importlib.import_module(name)
    _do_what_all_do()
    refuse_devices()
    gc.collect()
    gc.freeze()  # no fork need look through it
    for line in sys.stdin:
        request = json.loads(line)
        answer = _wait(request) if "wait" in request else {"pid": _fork(request)}
        print(json.dumps(answer), flush=True)


def refuse_devices() -> None:
    """A device has threads, which a fork has not: whatever it computes, it would wait for ever."""
    if sys.modules["jax._src.xla_bridge"]._backends:
        raise AssertionError("what was imported, or a Task, has touched a device")


def _do_what_all_do() -> None:
    """The first trace, picture and page of a process take a second; forks have them behind."""
    run = sys.modules["jaxtrain.run"]
    run.Task.of(run.RunData.of(run.make_config(Path(__file__).with_name("small.yaml"))))
    epochs = [{"epoch": 1, "train/loss": 2.0, "val/loss": 2.0}]
    counts = [[10 * row + column for column in range(10)] for row in range(10)]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        sys.modules["jaxtrain.report.curves"].draw_curves(epochs, root / "curves.png")
        sys.modules["jaxtrain.report.confusion"].draw_confusion(counts, root / "matrix.png")
    page = sys.modules["jaxtrain.report.page"]
    page.document(page.Content("none"))


def _wait(request: dict) -> dict:
    deadline = time.monotonic() + request["seconds"]
    while time.monotonic() < deadline:
        pid, status, used = os.wait4(request["wait"], os.WNOHANG)
        if pid:
            return {"status": os.waitstatus_to_exitcode(status), "peak": used.ru_maxrss * 1024}
        time.sleep(0.002)
    os.kill(request["wait"], signal.SIGKILL)
    os.waitpid(request["wait"], 0)
    return {"status": None}


def _fork(request: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        paths = request["streams"] or [os.devnull, request["log"], request["log"]]
        for number, path in enumerate(paths):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
            source = os.open(path, os.O_RDWR if path.startswith("/dev/pts/") else flags)
            os.dup2(source, number)
            os.close(source)
        spec = importlib.util.spec_from_file_location(
            "injections", Path(__file__).with_name("injections.py")
        )
        injections = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(injections)
        if request["to_its_end"]:
            config = sys.modules["jax"].config
            config.update("jax_persistent_cache_min_compile_time_secs", 0)
        for name, options in request["inject"]:
            getattr(injections, name)(**options)
        code = sys.modules["jaxtrain.main"].main(request["argv"])
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        # As at the end of an interpreter, but without the tear-down of the parent's modules.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
