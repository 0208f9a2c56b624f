"""One style for all pictures that matplotlib draws: what is said once, and looks the same.

    figure, axes = new_figure(6.4, 3.8, title="digits")
    tidy(axes)
    axes.plot(xs, ys, color=LINE, linewidth=2)
    written(figure, "rates.png")

`Figure`, not pyplot: no global state, no window, no backend to choose.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jaxtrain.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#333333"
# Two colours that stay apart for colour-blind eyes and in grey.
LINE, FAINT = "#d1495b", "#8da9c4"
# Rises evenly in brightness, and tells the same to colour-blind eyes and in grey.
SCALE = "cividis"


def new_figure(
    width: float, height: float, *, rows: int = 1, columns: int = 1, title: str = ""
) -> tuple[Figure, Any]:
    """A figure and its axes, an array of them where there are several.

    Args:
        width: in inches.
        height: likewise.
        rows: of axes.
        columns: likewise.
        title: written above the picture; a name, not TeX: "$" is a dollar.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)  # inches
    figure = Figure(figsize=(width, height), layout=layout)
    if title:
        figure.suptitle(
            title, x=0.02, ha="left", fontsize=14, fontweight="bold", color=INK, parse_math=False
        )
    return figure, figure.subplots(rows, columns)


def tidy(axes: Axes) -> None:
    """Nothing that carries no information: no box, a faint grid, quiet ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0, which="both")


def legend_above(axes: Axes) -> None:
    """A legend above the axes, where no curve can run through it."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, labelcolor=INK,
        fontsize=9, borderpad=0.4, borderaxespad=0, handlelength=1.4, columnspacing=1.4,
    )  # fmt: skip


def written(figure: Figure, path: str | os.PathLike[str]) -> Figure:
    """The figure, after it was written to a PNG file, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(150)
    with replacing(path) as temporary:
        # `savefig` would draw it all twice, once for the layout alone.
        FigureCanvasAgg(figure).print_png(temporary)
    return figure
