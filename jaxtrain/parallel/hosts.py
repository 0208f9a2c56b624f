"""Several processes, of one machine or of many, as one run: begun, and ended together.

    start(config.distributed)         # first of all; does nothing where there is one process alone
    finish(code)                      # last of all, however the run ended

Who this process is, and how many there are, says the scheduler (see `places.py`) or the config:

    distributed: {coordinator: "10.0.0.1:8476", processes: 4, process: 2}

JAX tells all processes when one of them dies, by ending them with code 134; and it takes one that
ends without a word for dead. So whoever leaves alone leaves quickly, and whoever leaves with the
others says so first.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping

import jax

from jaxtrain.errors import ConfigError, PeerError
from jaxtrain.parallel import together
from jaxtrain.parallel.meeting import meet
from jaxtrain.parallel.places import Place, Section, place_of
from jaxtrain.parallel.process import is_first

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 600.0
"""How long one that is done waits for the others: the first may still write the report."""

ALONE_SECONDS = 5.0
"""The same of one that failed: the others fail of the same just now, or they never come."""

_SHUTDOWN_SECONDS = 20


def start(section: Section | None = None, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Find the other processes of the run, where there are any.

    Args:
        section: the config's `distributed`; None leaves it all to the environment.
        environ: the variables of a scheduler.

    Returns:
        Whether this process is one of several.

    Raises:
        ConfigError: who is meant is said only in part; or JAX was used before. Nothing was begun.

    Where the others don't come in time the process ends, with the code of a PeerError: JAX leaves
    no other way out.
    """
    if jax.distributed.is_initialized():
        return True
    place = place_of(section, environ)
    if place is None:
        return False
    _begin(place)
    # Before JAX's own, which waits for the others, and then ends the process with its own code.
    atexit.register(_finish_unasked)
    count, own = jax.process_count(), jax.process_index()
    if count > 1:
        together.begin()
    logger.info("process %d of %d; the coordinator is %s", own, count, place.coordinator or "found")
    return count > 1


def _begin(place: Place) -> None:
    # JAX's own would take SIGTERM for itself, and knows neither Ctrl-C nor a time limit.
    jax.config.update("jax_enable_preemption_service", False)
    if jax.config.jax_cpu_collectives_implementation in (None, "", "none"):  # type: ignore[attr-defined]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # JAX, too, has a time limit here, and ends the process with code 134 when it is over.
    limit = threading.Timer(place.start_seconds, _give_up, args=[place])
    limit.daemon = True
    limit.start()
    try:
        jax.distributed.initialize(
            place.coordinator,
            place.processes,
            place.process,
            list(place.devices) if place.devices is not None else None,
            cluster_detection_method=place.scheduler or "deactivate",
            initialization_timeout=place.start_seconds + 60,
            heartbeat_timeout_seconds=place.heartbeat_seconds,
            shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(f"distributed: {error}") from error
    finally:
        limit.cancel()


def _give_up(place: Place) -> None:
    own = "this process" if place.process is None else f"process {place.process}"
    count = "all" if place.processes is None else f"all {place.processes}"
    print(
        f"another process: distributed: {own} has waited {place.start_seconds} s for {count} "
        f"processes of the run to come to {place.coordinator or 'the coordinator'}; those that "
        "don't say this are missing",
        file=sys.stderr,
    )
    together.end_at_once(PeerError.exit_code)


def _finish_unasked() -> None:
    """At the end of a program that did not call `finish`, or could not."""
    finish(int(getattr(sys, "last_value", None) is not None))


def finish(code: int = 0) -> int:
    """End the run, together with the other processes if they end as well.

    Where they don't, this process ends here and at once: JAX would let it wait for them, and then
    end it with its own code.

    Args:
        code: with which this process is going to end.

    Returns:
        The same, or that of a `PeerError` where this one is well and the others are gone.
    """
    if not jax.distributed.is_initialized():
        return code
    together.end()
    seconds = ALONE_SECONDS if code else TOGETHER_SECONDS
    if code and is_first():  # with it goes the coordinator, and JAX would end the others
        seconds += together.LEFT_SECONDS
    try:
        together.tell_end(code)
        if not together.all_end(seconds):
            together.tell_end(together.AT_ONCE)
            raise PeerError("not all of the others end")
        meet("parting", seconds=ALONE_SECONDS)  # one may have gone after it had told
        jax.distributed.shutdown()
    except (PeerError, jax.errors.JaxRuntimeError) as error:
        logger.error("process %d ends with code %d: %s", jax.process_index(), code, error)
        together.end_at_once(code or PeerError.exit_code)
    return code
