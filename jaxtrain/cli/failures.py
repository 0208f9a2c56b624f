"""What is said of an exception that ends a command, and the exit code that it comes to.

    except Exception as error:
        print(failure_line(error), file=sys.stderr)
        return exit_code(error)

Errors of jaxtrain's own say what is wrong themselves. Of any other the one line names the line of
the user's own that it came through, where there is one, and who was at work.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from jaxtrain.blame import STORAGE, in_a_line, out_of_memory, place_of
from jaxtrain.cli.printing import error_line
from jaxtrain.errors import CheckpointError, ConfigError, JaxtrainError, PeerError

_MORE = "--traceback shows where it comes from"

_TOGETHER = ("Gloo", "NCCL", "coordination service")

# A path that can't be one: whatever was to be done with it, the disk is not at fault.
_WRONG_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}


def exit_code(error: BaseException) -> int:
    """What the process returns.

    >>> exit_code(ConfigError("wrong")), exit_code(OSError(28, "full")), exit_code(KeyError("x"))
    (2, 4, 1)
    """
    if isinstance(error, JaxtrainError):
        return error.exit_code
    if _is_of_a_peer(error):
        return PeerError.exit_code
    if _is_wrong_path(error):
        return ConfigError.exit_code
    return CheckpointError.exit_code if _is_of_storage(error) else 1


def failure_line(error: BaseException) -> str:
    """What is said of it.

    >>> failure_line(OSError(28, "No space left on device", "runs/a/metrics.jsonl"))
    "storage error: [Errno 28] No space left on device: 'runs/a/metrics.jsonl'"
    """
    if isinstance(error, JaxtrainError):
        return error_line(error)
    if _is_of_a_peer(error):
        return error_line(PeerError(f"what all compute together failed: {in_a_line(error)}"))
    if _is_wrong_path(error):
        return f"path error: {error}"
    if out_of_memory(error):
        return (
            f"out of memory: {in_a_line(error)}; reduce data.batch_size, or raise train.accumulate "
            f"(micro-batches), or make the model smaller; {_MORE}"
        )
    if _is_of_storage(error):  # a full disk, a lost mount: not a fault of the program
        return f"storage error: {error}"
    place = place_of(error)
    said = in_a_line(error) + "".join(f" ({note})" for note in _who(error))
    if place is not None:
        return f"{_named(place)}: {said}; {_MORE}"
    return f"unforeseen error: {said} ({_last_line(error)}); {_MORE}"


def _is_wrong_path(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in _WRONG_PATH and place_of(error) is None


def _is_of_a_peer(error: BaseException) -> bool:
    """What a library that adds up over several processes says of one that is gone."""
    process = sys.modules.get("jaxtrain.parallel.process")
    if process is None or not process.several():
        return False
    if not (isinstance(error, ValueError) or type(error).__name__ == "JaxRuntimeError"):
        return False
    return any(name in str(error) for name in _TOGETHER)


def _is_of_storage(error: BaseException) -> bool:
    """Of a user's own code only what a disk does is the disk's fault."""
    if not isinstance(error, OSError):
        return False
    return error.errno in STORAGE or place_of(error) is None


def _who(error: BaseException) -> list[str]:
    """The handler and the event, noted by the engine; other notes may be of any length."""
    return [note for note in getattr(error, "__notes__", ()) if note.startswith("raised by ")]


def _named(place: str) -> str:
    """`plugin mine.py:12`: below the working directory from there, and what it is where known."""
    file, _, line = place.rpartition(":")
    path = Path(file)
    plugins = {
        getattr(module, "__file__", None)
        for name, module in list(sys.modules.items())
        if name.startswith("jaxtrain_plugin_")
    }
    try:
        shown = path.relative_to(Path.cwd()) if path.is_absolute() else path
    except (ValueError, OSError):  # it lies elsewhere; the working directory is gone
        shown = path
    return f"{'plugin ' if file in plugins else ''}{shown}:{line}"


def _last_line(error: BaseException) -> str:
    """`file:line` where it was raised."""
    frame = error.__traceback__
    if frame is None:
        return "nowhere"
    while frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
