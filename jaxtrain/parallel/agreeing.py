"""What may fail in one process and not in another, done so that all go on or none.

    found = agreed("directory", lambda: look(directory))

A process that fails alone leaves the others waiting for it at their next meeting. Here they learn
what it was at once, and end with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    DataError,
    DataNotFoundError,
    JaxtrainError,
    NonFiniteError,
    PeerError,
)
from jaxtrain.parallel.meeting import SECONDS, exchange

T = TypeVar("T")

_KINDS: dict[str, type[JaxtrainError]] = {
    kind.__name__: kind
    for kind in (
        CheckpointError,
        CheckpointMismatchError,
        ConfigError,
        DataError,
        DataNotFoundError,
        NonFiniteError,
    )
}
"""Errors that are of the same kind in whichever process they are; another one is a PeerError."""


def agreed(name: str, act: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What `act` returns here, once it has returned in every process of the run.

    Args:
        name: of the meeting behind it.
        act: called in this process.
        seconds: how long to wait for the others.

    Raises:
        Exception: what `act` raises here.
        JaxtrainError: it failed in another process: an error of the same kind where there is one.
        PeerError: another process did not come in time.
    """
    try:
        result = act()
    except Exception as error:
        exchange(name, json.dumps([type(error).__name__, str(error)]), seconds=seconds)
        raise
    for process, said in enumerate(exchange(name, "", seconds=seconds)):
        if said:
            kind, text = json.loads(said)
            raise _KINDS.get(kind, PeerError)(f"process {process}: {text}")
    return result
