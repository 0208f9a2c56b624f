"""The matrix as a picture: what was kept is seen by looking down a column.

draw_retention(report, run_directory / "retention.png", title="korean_medical")

A cell is the score on a task after a phase, as a colour and in figures, with its 95 % interval and
the held-out loss. The cell of a task's own phase has a frame; below the frame stands what became of
it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from jaxtrain.pictures import INK, LINE, SCALE, new_figure, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    from jaxtrain.retention.report import RetentionReport


def draw_retention(
    report: RetentionReport, path: str | os.PathLike[str], *, title: str = ""
) -> None:
    """Draw the scores of every task after every phase.

    Args:
        report: the report.
        path: the PNG file; it is replaced whole or not at all.
        title: written above the picture.
    """
    names = (*report.tasks, *report.untrained)
    values = np.array(
        [[row[name].value if name in row else np.nan for name in names] for row in report.scores]
    )
    rows, columns = values.shape
    figure, axes = new_figure(2.6 + 1.35 * columns, 1.7 + 0.85 * rows, title=title)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=SCALE, vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor("#eeeeee")
    for k in range(rows):
        for g, name in enumerate(names):
            _write(axes, report, k, g, name)
    for j in range(len(report.tasks)):
        axes.add_patch(_frame(j))
    if report.untrained and report.tasks:
        axes.axvline(len(report.tasks) - 0.5, color="white", linewidth=6)
    _label(axes, report, names)
    bar = figure.colorbar(image, ax=axes, label="score, %", pad=0.02)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.outline.set_visible(False)
    written(figure, path)


def _write(axes: Axes, report: RetentionReport, k: int, g: int, name: str) -> None:
    """The figures of a cell, in the ink that can be read on its colour."""
    score = report.scores[k].get(name)
    if score is None:
        axes.text(g, k, "not\nevaluated", ha="center", va="center", fontsize=7, color=INK)
        return
    ink = "white" if score.value < 0.5 else "black"
    low, high = 100 * score.low, 100 * score.high
    axes.text(
        g, k - 0.16, f"{100 * score.value:.1f} %", ha="center", va="center",
        fontsize=11, fontweight="bold", color=ink,
    )  # fmt: skip
    axes.text(
        g, k + 0.2, f"{low:.1f} to {high:.1f}\n{report.nlls[k][name].value:#.3g} nats",
        ha="center", va="center", fontsize=7, color=ink,
    )  # fmt: skip


def _frame(j: int) -> Patch:
    from matplotlib.patches import Rectangle

    return Rectangle((j - 0.47, j + 0.53), 0.94, 0.94, fill=False, edgecolor=LINE, linewidth=3)


def _label(axes: Axes, report: RetentionReport, names: tuple[str, ...]) -> None:
    marked = [name if name in report.tasks else f"{name}\n(untrained)" for name in names]
    phases = ["base model", *(f"after {phase}" for phase in report.phases)]
    axes.set_xticks(range(len(names)), marked, parse_math=False)
    axes.set_yticks(range(len(phases)), phases, parse_math=False)
    axes.xaxis.tick_top()
    axes.tick_params(colors=INK, length=0, which="both", labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(
        "score with its 95 % interval, and held-out loss; framed: a task after its own phase",
        fontsize=8, color=INK, labelpad=8,
    )  # fmt: skip
