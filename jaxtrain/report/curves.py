"""learning_curves.png: what a person looks at first.

    draw_curves(history.epochs, run_directory / "learning_curves.png", title="mnist_mlp")
    trainer.attach(LearningCurves(run_directory, history.epochs))     # the same, while it trains

One panel a metric, training and validation in it, the best epoch marked.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError
from jaxtrain.metrics import Mode
from jaxtrain.pictures import FAINT, INK, LINE, legend_above, new_figure, tidy, written
from jaxtrain.report.epochs import Epochs, best, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

_COLOURS = {"train": FAINT, "val": LINE}
_NAMES = {"train": "training", "val": "validation"}

# Drawing takes a third of a second: once a minute it costs the training nothing to speak of.
_SECONDS_BETWEEN = 60.0


class LearningCurves:
    """Draws `learning_curves.png` at the end of a run, and about once a minute on the way.

    The end may also be an interruption or an error: the picture then shows how far it came. A
    picture that can't be drawn costs a warning, never the run.

    Args:
        directory: where the picture goes.
        epochs: the list to which a history hook adds one row an epoch.
        title: written above the picture.
        monitor: the metric by which the best epoch is chosen.
        mode: "min" where a smaller value of it is better, "max" where a larger is, "auto" to go
            by its name.
    """

    FILE_NAME = "learning_curves.png"
    tells = True

    def __init__(
        self,
        directory: str | Path,
        epochs: Epochs,
        *,
        title: str = "",
        monitor: str = "val/loss",
        mode: Mode = "auto",
    ) -> None:
        self.path = Path(directory) / self.FILE_NAME
        self.epochs = epochs
        self.title = title
        self.monitor = monitor
        self.mode = mode
        self._drawn = 0.0

    def attach(self, engine: Engine) -> None:
        """Subscribe, after the history."""
        over = Events.COMPLETED | Events.INTERRUPT | Events.EXCEPTION_RAISED
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._start)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._look, needs=("history",))
        engine.attach_handler(over, self._draw)

    def _start(self, engine: Engine) -> None:
        self._drawn = time.monotonic()

    def _look(self, engine: Engine) -> None:
        if time.monotonic() - self._drawn >= _SECONDS_BETWEEN:
            self._draw(engine)

    def _draw(self, engine: Engine, *raised: object) -> None:
        # Where the disk is what went wrong, a picture would only add a second line to that error.
        if not self.epochs or isinstance(next(iter(raised), None), OSError | CheckpointError):
            return
        self._drawn = time.monotonic()
        try:
            draw_curves(
                self.epochs, self.path, title=self.title, monitor=self.monitor, mode=self.mode
            )
        # As broad as that on purpose: for want of a picture no save may fail, and no other error be
        # hidden. Matplotlib has no error of its own: a bad font, a broken matplotlibrc, a font
        # cache nobody may write end in anything from ImportError to RuntimeError.
        except Exception as error:
            logger.warning("%s was not drawn: %s: %s", self.path, type(error).__name__, error)


def draw_curves(
    epochs: Epochs,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    monitor: str = "val/loss",
    mode: Mode = "auto",
) -> None:
    """Draw the metrics `train/<name>` and `val/<name>` over the epochs, the loss first.

    Args:
        epochs: one row an epoch (`hooks.History.epochs`).
        path: the PNG file; it is replaced whole or not at all.
        title: written above the picture.
        monitor: the metric by which the best epoch is chosen.
        mode: "min" where a smaller value of it is better, "max" where a larger is, "auto" to go
            by its name.

    A panel without one finite value, and the picture of no epoch at all, says so.
    """
    names = _panels(epochs) or ["loss"]
    best_row = best(epochs, monitor, mode)
    rows, columns = -(-len(names) // 2), min(len(names), 2)
    figure, axes = new_figure(5.2 * columns, 3.8 * rows, rows=rows, columns=columns, title=title)
    grid = np.atleast_1d(axes).flat
    for axes, name in zip(grid, names, strict=False):
        _draw_panel(axes, name, epochs, None if best_row is None else int(best_row["epoch"]))
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    written(figure, path)


def _panels(epochs: Epochs) -> list[str]:
    """The bare metric names, the loss first, then in the order in which they came."""
    keys = dict.fromkeys(key for row in epochs for key in row)
    split = (key.split("/", 1) for key in keys if "/" in key)
    names = dict.fromkeys(name for group, name in split if group in _COLOURS)
    return sorted(names, key=lambda name: name != "loss")


def _draw_panel(axes: Axes, name: str, epochs: Epochs, best_epoch: int | None) -> None:
    from matplotlib.ticker import MaxNLocator

    values_seen: list[float] = []
    for group, colour in _COLOURS.items():
        xs, ys = column(epochs, f"{group}/{name}")
        values_seen += ys
        if ys:
            # A line through few points hides where they are.
            marker = "o" if len(xs) <= 15 else ""
            axes.plot(
                xs, ys, marker=marker, color=colour, linewidth=2, markersize=4,
                label=_NAMES[group],
            )  # fmt: skip
    # Above the axes stands the legend, where no curve can run through it, and above that the title.
    axes.set_title(name.replace("_", " "), loc="left", fontsize=12, color=INK, pad=24)
    tidy(axes)
    if not values_seen:
        axes.text(
            0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=INK
        )  # fmt: skip
        axes.set(xticks=[], yticks=[])
        return
    if best_epoch is not None:
        _mark_best(axes, name, epochs, best_epoch)
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    first, last = int(epochs[0]["epoch"]), int(epochs[-1]["epoch"])
    # Never as far as epoch 0, which does not exist.
    margin = min(0.04 * (last - first), 0.5) or 0.5
    axes.set_xlim(first - margin, last + margin)
    axes.margins(y=0.05 if last > first else 0.3)
    _scale(axes, name, values_seen)
    legend_above(axes)


def _scale(axes: Axes, name: str, values: list[float]) -> None:
    """Percent for an accuracy, and no tick above 100%; a logarithm for what falls far."""
    low, high = min(values), max(values)
    if _is_share(name):
        axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
        bottom, top = axes.get_ylim()
        if high <= 1 < top:
            axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))  # half of a marker
    elif low > 0 and high > 30 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")


def _mark_best(axes: Axes, name: str, epochs: Epochs, best_epoch: int) -> None:
    """A line at the best epoch, a ring around its validation value, and the value beside it."""
    if len(epochs) > 1:  # one epoch is the best without a line saying so
        axes.axvline(best_epoch, color=INK, linewidth=1, linestyle=(0, (2, 3)), zorder=0)
    xs, ys = column(epochs, f"val/{name}")
    if best_epoch not in xs:
        return
    value = ys[xs.index(best_epoch)]
    text = _percent(value) if _is_share(name) else f"{value:.4g}"
    axes.plot(
        best_epoch, value, "o", markersize=9, markerfacecolor="white",
        markeredgecolor=_COLOURS["val"], markeredgewidth=2, clip_on=False,
        label=f"best epoch ({best_epoch}): {text}",
    )  # fmt: skip


def _is_share(name: str) -> bool:
    return "accuracy" in name.split("_")


def _percent(share: float) -> str:
    """No more digits than there are: 97.08%, 97.5%, 100%."""
    return f"{round(100 * share, 2):g}%"
