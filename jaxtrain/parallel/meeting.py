"""Where the processes of a run wait for each other, by name and for so long at most.

    meet("checkpoint-900/written", seconds=300)
    digests = exchange("checkpoint-900/digests", mine, seconds=300)     # by process

One process alone meets nobody: both return at once. Nothing here touches a device, so any thread
may wait while another one computes; but all processes must come to the meetings of one name in the
same order.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from typing import Any

import jax

from jaxtrain.errors import PeerError

SECONDS = 600.0
"""How long a meeting waits where nobody says: longer than a save of a large model takes."""

_ROOT = "jaxtrain/meetings"

_serials: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)
_lock = threading.Lock()


def meet(name: str, *, seconds: float = SECONDS) -> None:
    """Wait until every process is here.

    Raises:
        PeerError: some did not come in time; it names them.
    """
    exchange(name, "", seconds=seconds)


def exchange(name: str, value: str, *, seconds: float = SECONDS) -> list[str]:
    """Wait until every process is here, and learn what each has brought.

    Args:
        name: of the meeting; several of one name are told apart by how often it was.
        value: what this process brings.
        seconds: how long to wait at most.

    Returns:
        The values, by process.

    Raises:
        PeerError: some did not come in time; it names them.
    """
    count, own = jax.process_count(), jax.process_index()
    if count == 1:
        return [value]
    with _lock:
        serial = next(_serials[name])
    service, place = client(), f"{_ROOT}/{name}/{serial}"
    service.key_value_set(f"{place}/{own}", value)
    try:
        service.wait_at_barrier(place, int(seconds * 1000))
    except jax.errors.JaxRuntimeError as error:
        missing = sorted({*range(count)} - _found(place).keys())
        raise _expired(name, seconds, missing) from error
    found = _found(place)
    if serial:  # all have read that of the time before, or they would not be here
        service.key_value_delete(f"{_ROOT}/{name}/{serial - 1}/{own}")
    return [found[process] for process in range(count)]


def hear(name: str, value: str, *, seconds: float = SECONDS) -> str:
    """Learn what the first process says; it waits for nobody.

    Args:
        name: of what it is about; several of one name are told apart by how often it was.
        value: what this process would say, if it is the first.
        seconds: how long to wait at most.

    Raises:
        PeerError: the first did not say it in time.
    """
    if jax.process_count() == 1:
        return value
    with _lock:
        serial = next(_serials[name])
    place = f"{_ROOT}/{name}/{serial}"
    if jax.process_index() == 0:
        client().key_value_set(place, value)
        return value
    try:
        return str(client().blocking_key_value_get(place, int(seconds * 1000)))
    except jax.errors.JaxRuntimeError as error:
        raise _expired(name, seconds, [0]) from error


def client() -> Any:
    """What talks to the coordinator of the run.

    JAX has no public name for it; orbax takes it from the same place.
    """
    from jax._src.distributed import global_state

    found = global_state.client
    if found is None:
        raise PeerError(
            "this process knows no coordinator: jax.distributed was not begun, or ended"
        )
    return found


def _found(place: str) -> dict[int, str]:
    """What was brought to a place, by process."""
    entries = client().key_value_dir_get(place)
    return {int(key.rpartition("/")[2]): value for key, value in entries}


def _expired(name: str, seconds: float, missing: list[int]) -> PeerError:
    who = ", ".join(map(str, missing)) or "none any more"
    return PeerError(
        f"{name}: waited {seconds:g} s for all {jax.process_count()} processes of the run; "
        f"missing: {who}"
    )
