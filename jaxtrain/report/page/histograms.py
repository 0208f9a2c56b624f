"""Histograms: one as bars, several over their steps as a map.

    figure, said = histogram_figure({"edges": [0, 1, 2], "counts": [3, 1], "mean": 0.7, ...})
    over_steps(frames)

Axes: K bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from jaxtrain.report.page.content import FigureJson
from jaxtrain.report.page.figures import figure, is_number

_ROWS = 48
_MARGIN = {"l": 10, "r": 10, "t": 10, "b": 10}


def histogram_figure(found: Mapping[str, Any]) -> tuple[FigureJson, str]:
    """One histogram as bars, and in words.

    Args:
        found: what its file holds: `edges` [K + 1], `counts` [K].

    Raises:
        ValueError, KeyError, TypeError: it holds something else.
    """
    edges, counts = found["edges"], found["counts"]
    if len(edges) != len(counts) + 1 or not all(is_number(each) for each in [*edges, *counts]):
        raise ValueError("expected edges, and one count less")
    said = "; ".join(
        f"{label} {figure(found[key])}"
        for key, label in (
            ("mean", "mean"), ("std", "standard deviation"), ("min", "from"), ("max", "to"),
        )
        if is_number(found.get(key))
    )  # fmt: skip
    if found.get("nonfinite"):
        said += f"; not finite: {figure(found['nonfinite'])}"
    return {
        "kind": "plain",
        "data": [
            {
                "type": "bar",
                "x": [(low + high) / 2 for low, high in pairwise(edges)],
                "width": [high - low for low, high in pairwise(edges)],
                "y": counts,
                "marker": {"color": "var(--c0)", "line": {"width": 0}},
                "hovertemplate": "about %{x:.4g}: %{y}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "value"}, "automargin": True},
            "yaxis": {"title": {"text": "how many"}, "automargin": True, "rangemode": "tozero"},
            "bargap": 0,
            "margin": _MARGIN,
            "height": 200,
        },
        "note": said,
    }, said


def over_steps(frames: Sequence[Mapping[str, Any]]) -> FigureJson:
    """Several as a map: steps across, values up, and as colour which share is there.

    Their bins are put into rows of one width; a bin that lies in two is parted evenly.

    Args:
        frames: each with its `step` and its `counts`, as its file has them.
    """
    histograms = [frame["counts"] for frame in frames]
    low = min(one["edges"][0] for one in histograms)
    high = max(one["edges"][-1] for one in histograms)
    width = (high - low) / _ROWS or 1.0
    columns = [_rebinned(one["edges"], one["counts"], low, width) for one in histograms]
    return {
        "kind": "plain",
        "data": [
            {
                "type": "heatmap",
                "x": [str(frame["step"]) for frame in frames],
                "y": [low + (row + 0.5) * width for row in range(_ROWS)],
                "z": [[column[row] for column in columns] for row in range(_ROWS)],
                "zmin": 0,
                "colorscale": [[0, "var(--cell)"], [1, "var(--c0)"]],
                "showscale": False,
                "hovertemplate": "step %{x}, about %{y:.3g}: %{z:.2%}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "step"}, "type": "category", "automargin": True},
            "yaxis": {"title": {"text": "value"}, "automargin": True},
            "margin": _MARGIN,
            "height": 220,
        },
    }


def _rebinned(
    edges: Sequence[float], counts: Sequence[int], low: float, width: float
) -> list[float]:
    """The share of all values in each row."""
    rows = [0.0] * _ROWS
    total = sum(counts) or 1
    for (left, right), count in zip(pairwise(edges), counts, strict=True):
        if not count:
            continue
        first = min(int((left - low) / width), _ROWS - 1)
        last = min(int((right - low) / width), _ROWS - 1)
        for row in range(first, last + 1):
            begin, end = low + row * width, low + (row + 1) * width
            inside = min(right, end) - max(left, begin)
            part = inside / (right - left) if right > left else 1.0
            rows[row] += count * max(part, 0.0) / total
    return [float(f"{row:.4g}") for row in rows]
