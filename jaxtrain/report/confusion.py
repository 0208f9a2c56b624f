"""The confusion matrix as a picture: which class is taken for which.

draw_confusion(matrix, run_directory / "confusion_matrix.png", names=("cat", "dog"))
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.pictures import INK, SCALE, new_figure, written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In more cells numbers can't be read, and the colours tell it alone.
_MOST_NUMBERED = 20


def draw_confusion(
    matrix: Any, path: str | os.PathLike[str], *, names: Sequence[str] = (), title: str = ""
) -> Figure:
    """Draw how many rows of each class were taken for which.

    Args:
        matrix: `[K, K]` counts, a row for what a class is, a column for what it was taken for.
        path: the PNG file; it is replaced whole or not at all.
        names: of the classes; by default their numbers.
        title: written above the picture.

    Returns:
        The figure that was written.

    Raises:
        DataError: it is no square of counts, or there are other names than classes.
    """
    from matplotlib.colors import PowerNorm

    counts = np.asarray(matrix, np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise DataError(f"a confusion matrix: expected [K, K], found {list(counts.shape)}")
    if not (counts >= 0).all() or not np.isfinite(counts).all():
        raise DataError("a confusion matrix: expected counts from 0 on")
    classes = len(counts)
    names = list(names) or [str(number) for number in range(classes)]
    if len(names) != classes:
        raise DataError(f"a confusion matrix of {classes} classes: found {len(names)} names")
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    side = 0.42 * min(classes, 32) + 2.2
    figure, axes = new_figure(side + 0.8, side, title=title)
    # By roots: of a hundred rows a single one taken for another is to be seen.
    image = axes.imshow(shares, cmap=SCALE, norm=PowerNorm(0.5, vmin=0, vmax=1))
    if classes <= _MOST_NUMBERED:
        _number(axes, counts, shares)
    places = np.arange(classes)[:: -(-classes // 32)]
    shown = [names[place] for place in places]
    long = max(map(len, shown)) > 3
    axes.set_xticks(places, shown, rotation=90 if long else 0, parse_math=False)
    axes.set_yticks(places, shown, parse_math=False)
    axes.tick_params(colors=INK, length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("taken for", color=INK)
    axes.set_ylabel("is", color=INK)
    bar = figure.colorbar(image, ax=axes, label="share of the class, %", pad=0.02, shrink=0.8)
    bar.set_ticks([0, 0.01, 0.05, 0.25, 0.5, 1], labels=["0", "1", "5", "25", "50", "100"])
    bar.ax.tick_params(colors=INK, length=0)
    bar.outline.set_visible(False)
    return written(figure, path)


def _number(axes: Any, counts: np.ndarray, shares: np.ndarray) -> None:
    """The counts, in the ink that can be read on their colour; a zero says nothing."""
    for row, column in np.argwhere(counts > 0):
        axes.text(
            column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=8,
            color="white" if shares[row, column] < 0.25 else "black",
        )  # fmt: skip
