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

import logging
import os
import sys
from collections.abc import Mapping

import jax

from jaxtrain.errors import ConfigError, PeerError
from jaxtrain.parallel import together
from jaxtrain.parallel.meeting import exchange
from jaxtrain.parallel.places import Place, Section, place_of

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
        PeerError: the others did not come in time.
    """
    if jax.distributed.is_initialized():
        return True
    place = place_of(section, environ)
    if place is None:
        return False
    _begin(place)
    count, own = jax.process_count(), jax.process_index()
    logger.info("process %d of %d; the coordinator is %s", own, count, place.coordinator or "found")
    return count > 1


def _begin(place: Place) -> None:
    # JAX's own would take SIGTERM for itself, and knows neither Ctrl-C nor a time limit.
    jax.config.update("jax_enable_preemption_service", False)
    if jax.config.jax_cpu_collectives_implementation in (None, "", "none"):  # type: ignore[attr-defined]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            place.coordinator,
            place.processes,
            place.process,
            list(place.devices) if place.devices is not None else None,
            cluster_detection_method=place.scheduler or "deactivate",
            initialization_timeout=place.start_seconds,
            heartbeat_timeout_seconds=place.heartbeat_seconds,
            shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
        )
    except jax.errors.JaxRuntimeError as error:
        raise PeerError(
            f"distributed: waited {place.start_seconds} s for all processes of the run: {error}"
        ) from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(f"distributed: {error}") from error


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
    try:
        codes = exchange("finish", str(code), seconds=seconds)
    except (PeerError, jax.errors.JaxRuntimeError) as error:
        code = code or PeerError.exit_code
        logger.error("%s; process %d ends alone", error, jax.process_index())
        _end(code)
    if any(other != "0" for other in codes) and not code:
        logger.warning("the processes of the run end with the codes %s", ", ".join(codes))
    jax.distributed.shutdown()
    return code


def _end(code: int) -> None:
    """Past everything that would wait for the others: JAX's own handlers at the exit, too."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
