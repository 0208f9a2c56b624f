"""A learning rate to begin with: what the loss does while the rate grows.

    found = lr_find(step, state, loader)              # step = make_train_step(model, loss, tx)
    found.suggestion                                  # 0.012
    report.plot_lr_find(found, "lr_find.png")

The sweep of Smith 2017 (arXiv:1506.01186, section 3.3), on a logarithmic scale as fastai does it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrain.compiling import jit
from jaxtrain.errors import ConfigError
from jaxtrain.optim import refuse_fixed_rate, with_learning_rate
from jaxtrain.step.train_state import TrainState, TrainStep


@dataclass(frozen=True)
class RateSweep:
    """What a sweep has seen.

    Attributes:
        rates: the learning rate of each step that was taken.
        losses: its loss.
        smoothed: the losses, each averaged with those around it.
        suggestion: the rate at which the smoothed loss falls fastest, on its way to its lowest;
            None where it never falls.
        diverged: whether the sweep ended since the loss grew, or was not finite.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    diverged: bool


def lr_find(
    step: TrainStep,
    state: TrainState,
    batches: Iterable[Any],
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    divergence: float = 4.0,
) -> RateSweep:
    """Train a copy of `state` while the learning rate grows by the same factor at each step.

    Args:
        step: a training step whose optimizer is made by `jaxtrain.optim.injected`, of a number.
        state: to begin with; it stays as it is.
        batches: gone through again where it has fewer than `steps`.
        lowest: the first rate.
        highest: the last, unless the loss diverges before.
        steps: how many to take.
        smoothing: how much of a mean of the losses stays at each step. It is taken forwards, which
            tells where the loss diverges, and of that backwards: forwards alone it would be behind
            the rates by `1 / (1 - smoothing)` steps, and the suggestion too high by as many.
        divergence: the sweep ends where the mean of the losses so far is above its best by so many
            times that, less one.

    Raises:
        ConfigError: the learning rate can't be changed; there is no batch, or a loss that is not
            finite before two steps are done; or a range of rates or a number of steps that is none.
    """
    if not 0 < lowest < highest:
        raise ConfigError(
            f"lowest, highest: expected 0 < lowest < highest, found {lowest}, {highest}"
        )
    if steps < 2:
        raise ConfigError(f"steps: expected at least 2, found {steps}")
    if not 0 <= smoothing < 1 or not divergence > 1:
        raise ConfigError(
            "smoothing, divergence: expected 0 or more and below 1, and above 1, found "
            f"{smoothing}, {divergence}"
        )
    refuse_fixed_rate(state.opt_state)
    rates = np.geomspace(lowest, highest, steps).tolist()
    compiled = jit(step)
    losses: list[float] = []
    diverged = False
    for rate, batch in zip(rates, _again(batches), strict=False):
        state = state.replace(opt_state=with_learning_rate(state.opt_state, rate))
        state, output = compiled(state, batch)
        loss = float(output["loss"])
        if not math.isfinite(loss):
            diverged = True
            break
        losses.append(loss)
        means = _means(losses, smoothing)
        best = min(means)
        if means[-1] - best > (divergence - 1) * abs(best):
            diverged = True
            break
    if len(losses) < 2:
        raise ConfigError(
            f"lr_find: expected finite losses of two steps at least, found {len(losses)}; look at "
            "the batches, or take a smaller lowest rate"
        )
    taken = rates[: len(losses)]
    smoothed = _means(_means(losses, smoothing)[::-1], smoothing)[::-1]
    return RateSweep(
        tuple(taken), tuple(losses), tuple(smoothed), _steepest(taken, smoothed), diverged
    )


def _again(batches: Iterable[Any]) -> Iterator[Any]:
    for number in itertools.count():
        found = False
        for batch in batches:
            found = True
            yield batch
        if not found:
            raise ConfigError(
                "batches: expected batches, found none"
                + (" when they were gone through again; give a list or a loader" if number else "")
            )


def _means(losses: list[float], smoothing: float) -> list[float]:
    """Of each and all before it, the later ones counting more; corrected for the beginning at 0.

    >>> _means([1.0, 3.0], 0.5)
    [1.0, 2.3333333333333335]
    """
    means, mean = [], 0.0
    for number, loss in enumerate(losses, start=1):
        mean = smoothing * mean + (1 - smoothing) * loss
        means.append(mean / (1 - smoothing**number))
    return means


def _steepest(rates: list[float], smoothed: list[float]) -> float | None:
    """Where the loss falls most for the same factor of the rate, before it is lowest."""
    lowest = int(np.argmin(smoothed))
    slopes = np.gradient(np.asarray(smoothed), np.log(rates))[: lowest + 1]
    at = int(np.argmin(slopes))
    return rates[at] if slopes[at] < 0 else None
