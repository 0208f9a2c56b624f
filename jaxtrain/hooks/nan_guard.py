"""Stops a run whose loss or gradient is no longer a number.

    trainer.attach(NaNGuard())

Where the step says `finite`, as those of `make_train_step` do, it has found NaN and Inf itself, on
the device, and has not applied such an update. The guard only looks now and then whether that has
happened, so that no step has to wait for it; the iteration that it names is exact all the same.

A step that does not say so is watched by its figures: all float scalars of its output. On the
device they are those of the iteration that is looked at; a NaN that came and went between two
looks is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pydantic

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError, NonFiniteError
from jaxtrain.hooks.registry import HOOKS

_FINITE = "finite"


@HOOKS.register("nan_guard")
class NaNGuard:
    """Raises `NonFiniteError` once a step was not finite.

    Of a host engine, whose process function returns numbers that cost nothing to read, it looks at
    every iteration's.

    Args:
        every: iterations between two looks; it also looks at the end of every epoch.

    Raises:
        ConfigError: at the first look, where the step's output has neither `finite` nor a float
            scalar.
    """

    def __init__(self, *, every: pydantic.PositiveInt = 50) -> None:
        self.every = every
        self._first = 0  # the iteration after which this process began

    def attach(self, engine: Engine) -> None:
        """Subscribe, before everything else: nobody should act on the figures of a broken run."""
        first = float("inf")
        looks = Events.ITERATION_COMPLETED(every=self.every) | Events.EPOCH_COMPLETED
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start, priority=first)
        if engine.state.train_state is None:  # a host engine: every iteration is seen anyway
            engine.attach_handler(Events.ITERATION_COMPLETED, self._glance, priority=first)
        engine.attach_handler(looks, self._look, priority=first)

    def look(self, engine: Engine) -> None:
        """Raise `NonFiniteError` where a step of this run was not finite. Waits for the device."""
        first = engine.first_nonfinite()
        if first is not None:
            raise self._error(engine, first, "the loss or the gradient is", applied=False)
        self._judge(engine, engine.scalars())

    def _start(self, engine: Engine) -> None:
        self._first = engine.state.iteration

    def _glance(self, engine: Engine) -> None:
        output = engine.state.output
        named = output if isinstance(output, Mapping) else {}
        self._judge(engine, {k: v for k, v in named.items() if _is_here(v)})

    def _look(self, engine: Engine) -> None:
        self.look(engine)
        if engine.state.iteration == self._first:
            return  # went on at the end of an epoch: no step has run here yet
        if not _watched(engine.scalars()):
            raise ConfigError(
                "hook nan_guard: the step's output has nothing to watch: neither 'finite' nor a "
                f"float scalar (its scalars: {', '.join(sorted(engine.scalars())) or 'none'}); "
                'return one, as {"loss": loss}, or do without the hook'
            )

    def _judge(self, engine: Engine, figures: Mapping[str, Any]) -> None:
        """Raise where one of the last step's figures is not finite."""
        if _FINITE in figures:
            if not figures[_FINITE]:
                raise self._error(
                    engine, engine.state.iteration, "the loss or the gradient is", applied=False
                )
            return
        bad = [name for name, value in _watched(figures).items() if not math.isfinite(value)]
        if bad:
            verb = "is" if len(bad) == 1 else "are"
            raise self._error(
                engine, engine.state.iteration, f"{', '.join(bad)} {verb}", applied=True, names=bad
            )

    def _error(
        self,
        engine: Engine,
        iteration: int,
        what: str,
        *,
        applied: bool,
        names: tuple[str, ...] | list[str] = ("loss", "grad_norm"),
    ) -> NonFiniteError:
        state = engine.state
        behind = state.iteration - iteration
        epoch = state.epoch
        if behind >= state.epoch_iteration and state.epoch_length:
            epoch = (iteration - 1) // state.epoch_length + 1  # an epoch before this one
        when = "" if behind == 0 else f" {behind} iterations later"
        figures = engine.scalars()
        found = ", ".join(f"{name} {figures[name]}{when}" for name in names if name in figures)
        update = (
            "Updates may have been applied with it: the step does not say `finite`. "
            if applied
            else "That update was not applied. "
        )
        return NonFiniteError(
            f"iteration {iteration} (epoch {epoch}): {what} not finite"
            f"{found and f' ({found})'}. {update}"
            "Try a smaller learning rate or optimizer.clip_norm; "
            "where it is the first iteration, look for NaN in the data (`check` does)."
        )


def _watched(figures: Mapping[str, Any]) -> dict[str, Any]:
    """`finite`, or else all floats."""
    if _FINITE in figures:
        return {_FINITE: figures[_FINITE]}
    return {
        name: value
        for name, value in figures.items()
        if isinstance(value, float) or (isinstance(value, np.generic) and value.dtype.kind == "f")
    }


def _is_here(value: Any) -> bool:
    """Whether it is a number of Python or NumPy, and no array that has to be waited for."""
    return isinstance(value, bool | float | np.generic)
