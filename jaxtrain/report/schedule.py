"""The learning rate as a picture: over the steps of a run, and as the finder swept it.

schedule = make_schedule(config.schedule, config.optimizer.learning_rate, total_steps)
plot_schedule(schedule, total_steps, "schedule.png", steps_per_epoch=41)
plot_lr_find(lr_find(step, state, loader), "lr_find.png")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.pictures import FAINT, INK, LINE, legend_above, new_figure, tidy, written
from jaxtrain.step import RateSweep

if TYPE_CHECKING:
    import optax
    from matplotlib.figure import Figure


def plot_schedule(
    schedule: optax.ScalarOrSchedule,
    total_steps: int,
    path: str | os.PathLike[str],
    *,
    steps_per_epoch: int | None = None,
    title: str = "",
) -> Figure:
    """Draw the learning rate at each step.

    Args:
        schedule: a number, or a function of the number of updates done, as `optim.make_schedule`
            gives it.
        total_steps: updates in the run.
        path: the PNG file; it is replaced whole or not at all.
        steps_per_epoch: with it the axis counts epochs.
        title: written above the picture.

    Returns:
        The figure that was written.

    Raises:
        ConfigError: there is no step to draw.
    """
    if total_steps < 1:
        raise ConfigError(f"total_steps: expected at least 1, found {total_steps}")
    figure, axes = new_figure(6.4, 3.8, title=title)
    tidy(axes)
    steps = np.arange(total_steps)
    xs = steps / steps_per_epoch if steps_per_epoch else steps
    axes.plot(xs, _rates(schedule, steps), color=LINE, linewidth=2)
    axes.set_xlabel("epochs done" if steps_per_epoch else "steps done", color=INK)
    axes.set_ylabel("learning rate", color=INK)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")
    return written(figure, path)


def plot_lr_find(found: RateSweep, path: str | os.PathLike[str], *, title: str = "") -> Figure:
    """Draw the loss over the learning rate, and mark the rate that is suggested.

    Args:
        found: what the finder has seen.
        path: the PNG file; it is replaced whole or not at all.
        title: written above the picture.

    Returns:
        The figure that was written.
    """
    figure, axes = new_figure(6.4, 3.8, title=title)
    tidy(axes)
    axes.plot(found.rates, found.losses, color=FAINT, linewidth=1, label="loss")
    axes.plot(found.rates, found.smoothed, color=LINE, linewidth=2, label="smoothed")
    if found.suggestion is not None:
        at = found.smoothed[found.rates.index(found.suggestion)]
        axes.plot(
            found.suggestion, at, "o", markersize=9, markerfacecolor="white",
            markeredgecolor=LINE, markeredgewidth=2, label=f"suggested: {found.suggestion:.3g}",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", color=INK)
    axes.set_ylabel("loss", color=INK)
    legend_above(axes)
    return written(figure, path)


def _rates(schedule: optax.ScalarOrSchedule, steps: np.ndarray) -> np.ndarray:
    """`[T]`: of all steps at once, as a schedule's program computes it."""
    if not callable(schedule):
        return np.full(len(steps), float(schedule))
    import jax

    return np.asarray(jax.jit(jax.vmap(schedule))(steps.astype(np.int32)), np.float64)
