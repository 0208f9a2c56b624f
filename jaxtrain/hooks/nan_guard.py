"""Stops a run whose loss or gradient is no longer a number.

    trainer.attach(NaNGuard())

The step itself finds NaN and Inf, on the device, and does not apply such an update. The guard only
looks now and then whether that has happened, so that no step has to wait for it; the iteration
that it names is exact all the same.
"""

from __future__ import annotations

import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import NonFiniteError
from jaxtrain.hooks.registry import HOOKS


@HOOKS.register("nan_guard")
class NaNGuard:
    """Raises `NonFiniteError` once a step was not finite.

    Args:
        every: iterations between two looks; it also looks at the end of every epoch.
    """

    def __init__(self, *, every: pydantic.PositiveInt = 50) -> None:
        self.every = every

    def attach(self, engine: Engine) -> None:
        """Subscribe, before everything else: nobody should act on the figures of a broken run."""
        looks = Events.ITERATION_COMPLETED(every=self.every) | Events.EPOCH_COMPLETED
        engine.attach_handler(looks, self.look, priority=float("inf"))

    def look(self, engine: Engine) -> None:
        """Raise `NonFiniteError` where a step of this run was not finite."""
        first = engine.first_nonfinite()
        if first is None:
            return
        state = engine.state
        behind = state.iteration - first
        epoch = state.epoch
        if state.epoch_length:
            epoch = (first - 1) // state.epoch_length + 1
        when = "" if behind == 0 else f" {behind} iterations later"
        figures = engine.scalars()
        found = ", ".join(
            f"{name} {figures[name]}{when}" for name in ("loss", "grad_norm") if name in figures
        )
        raise NonFiniteError(
            f"iteration {first} (epoch {epoch}): the loss or the gradient is not finite ({found}). "
            "That update was not applied. Try a smaller learning rate or optimizer.clip_norm; "
            "where it is the first iteration, look for NaN in the data (`check` does)."
        )
