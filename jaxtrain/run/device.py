"""The device that a config asks for. JAX fixes it for the whole process when it is first used.

    choose_device(config.device)      # first of all, by whoever begins: a command, a notebook
    task = Task.of(RunData.of(config))

It is a call of its own, since it changes the process. `Task.of` only looks whether JAX runs on what
the config says.
"""

from __future__ import annotations

import jax

from jaxtrain.errors import ConfigError

# The second, without a word, is what JAX 0.10 says of JAX_PLATFORMS=cuda where there is no GPU.
_FAILURES = (RuntimeError, AssertionError)

# JAX takes "gpu" for all of these at once, and fails at the first that is not installed.
_PLATFORMS = {"gpu": ("cuda", "rocm")}


def choose_device(device: str) -> None:
    """Run on `device`, and initialise no other; "auto" leaves it to JAX.

    Nothing is touched then, unless JAX is told what to take (JAX_PLATFORMS): that may not be there.

    Raises:
        ConfigError: it can't be used here, or JAX runs on another one already. Nothing was
            changed then.
    """
    before = getattr(jax.config, "jax_platforms")  # noqa: B009  (mypy does not know it)
    if device == "auto":
        if before:
            _probe(before)
        return
    found, failures = None, []
    for platform in _PLATFORMS.get(device, (device,)):
        jax.config.update("jax_platforms", platform)
        try:
            found = jax.default_backend()
            break
        except _FAILURES as error:
            failures.append(error)
    if found is None:
        jax.config.update("jax_platforms", before)
        raise ConfigError(
            f"device: {device!r} can't be used here: {_in_a_line(failures[0])}. Use device: auto"
            + (", or install jaxtrain[cuda]" if device == "gpu" else "")
        ) from failures[0]
    if found != device:
        jax.config.update("jax_platforms", before)
        raise ConfigError(
            f"device: expected {device!r}, but JAX runs on {found!r} in this process already; "
            "use device: auto, or set the device before JAX is used"
        )


def _probe(platforms: str) -> None:
    try:
        jax.default_backend()
    except _FAILURES as error:
        raise ConfigError(
            f"device: JAX is told to run on {platforms!r} (JAX_PLATFORMS), which can't be used "
            f"here: {_in_a_line(error)}. Take JAX_PLATFORMS away, or use device: cpu"
        ) from error


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or "there is none"


def refuse_other_device(device: str) -> None:
    """See that JAX runs on `device`; "auto" is any, and initialises none.

    Raises:
        ConfigError: it runs on another one.
    """
    if device != "auto" and jax.default_backend() != device:
        raise ConfigError(
            f"device: the config says {device!r}, but JAX runs on {jax.default_backend()!r}; call "
            f"jaxtrain.run.choose_device({device!r}) before anything else uses JAX"
        )
