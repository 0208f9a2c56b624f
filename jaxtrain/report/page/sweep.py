"""A sweep: how the figure that counts goes with each number of the config that differs.

    add_sweep(content, records, labels, differences(records))

From four runs on: parallel coordinates over all of those numbers, and a panel for each.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxtrain.direction import Mode, better, rank
from jaxtrain.report.page.content import Content, FigureJson, panel
from jaxtrain.report.page.figures import figure, figure_of, is_number, is_share
from jaxtrain.report.page.markup import element, for_plotly, joined
from jaxtrain.report.page.panels import best_epoch
from jaxtrain.tracking import RunRecord

_RUNS = 4
_WIDE = 30
_FEW = 8
_MARGIN = {"l": 8, "r": 12, "t": 12, "b": 8}


def add_sweep(
    content: Content,
    records: Sequence[RunRecord],
    labels: Sequence[str],
    differing: Mapping[str, Sequence[Any]],
) -> None:
    """Add the section, where there are runs enough, numbers that differ and a figure that counts.

    Args:
        content: what to add to.
        records: the runs.
        labels: what they are called.
        differing: by dotted key the values of all runs.
    """
    numbers = {
        key: [float(value) for value in values]
        for key, values in differing.items()
        if all(is_number(value) for value in values)
    }
    monitor, figures = objective(records)
    known = [place for place, value in enumerate(figures) if value is not None]
    if len(known) < _RUNS or not numbers:
        return
    y = [value for value in figures if value is not None]
    names = [labels[place] for place in known]
    columns = {key: [values[place] for place in known] for key, values in numbers.items()}
    columns = {key: values for key, values in columns.items() if len(set(values)) > 1}
    if not columns:
        return
    content.figures["sweep"] = parallel(columns, monitor, y)
    said = f"{len(y)} runs by {', '.join(columns)} and {monitor}"
    places = [panel("sweep", f"all runs, by {monitor}", said, tools=False, wide=True)]
    each = []
    for key, values in columns.items():
        content.figures[f"sweep:{key}"] = scatter(key, values, monitor, y, names)
        title = f"{monitor} by {key}"
        each.append(panel(f"sweep:{key}", title, title, tools=False))
    places.append(element("div", *each, class_="panels small"))
    content.add("sweep", "Sweep", joined(places))


def objective(records: Sequence[RunRecord]) -> tuple[str, list[float | None]]:
    """The figure by which runs are compared, and that of each: the best of what was monitored.

    Where no run monitors anything, as in scripts: the last of what all have logged, "val/loss"
    before "loss" before anything else.
    """
    monitored = [best_epoch(record) for record in records]
    for row, monitor in monitored:
        if row is not None:
            values = [
                float(other[monitor]) if other is not None and monitor in other else None
                for other, _ in monitored
            ]
            return monitor, values
    common = set.intersection(*(set(record.figures) for record in records))
    names = [name for name in records[0].figures if name in common]
    names.sort(key=lambda name: (name != "val/loss", name != "loss"))
    if not names:
        return "", [None] * len(records)
    found = [record.figures[names[0]] for record in records]
    return names[0], [value if is_number(value) else None for value in found]


def parallel(
    columns: Mapping[str, Sequence[float]],
    monitor: str,
    y: Sequence[float],
    mode: Mode = "auto",
    logarithmic: Collection[str] = (),
) -> FigureJson:
    """Parallel coordinates: a line a run, an axis a number, coloured by the figure.

    Args:
        columns: by key the numbers of all runs.
        monitor: the figure that counts.
        y: that of each run.
        mode: which way it gets better.
        logarithmic: keys whose axes are of logarithms; those of numbers far apart are anyway.
    """
    dimensions = [_dimension(key, values, key in logarithmic) for key, values in columns.items()]
    left = min(max(60, 5 * len(next(iter(columns)))), 140)  # half of the first label
    dimensions.append(
        {
            "label": for_plotly(monitor),
            "values": list(y),
            **({"tickformat": "~%"} if is_share(monitor) else {}),
        }
    )
    return {
        "kind": "plain",
        "data": [
            {
                "type": "parcoords",
                "dimensions": dimensions,
                "line": {
                    "color": list(y),
                    "colorscale": [[0, "var(--faint)"], [1, "var(--c0)"]],
                    "reversescale": better(monitor, mode) == "min",
                    "showscale": True,
                    "colorbar": {
                        "thickness": 12, "outlinewidth": 0, "title": {"text": for_plotly(monitor)},
                    },
                },
                "labelfont": {"color": "var(--ink)", "size": 13},
                "tickfont": {"color": "var(--quiet)"},
                "rangefont": {"color": "var(--quiet)"},
                "unselected": {"line": {"color": "var(--line)"}},
            }
        ],
        "layout": {"margin": {"l": left, "r": 30, "t": 50, "b": 20}, "height": 340},
        "width": 120 * len(dimensions) + 160,
        "note": "drag along an axis to choose runs",
    }  # fmt: skip


def scatter(
    key: str,
    x: Sequence[float],
    monitor: str,
    y: Sequence[float],
    names: Sequence[str],
    mode: Mode = "auto",
    logarithmic: bool = False,
) -> FigureJson:
    """A dot a run, the best with a ring; see `parallel`."""
    best = min(range(len(y)), key=lambda place: rank(y[place], better(monitor, mode)))
    hover = [
        f"{for_plotly(name)}<br>{for_plotly(key)}: {figure(a)}<br>"
        f"{for_plotly(monitor)}: {figure_of(monitor, b)}"
        for name, a, b in zip(names, x, y, strict=True)
    ]
    dots = {"type": "scatter", "mode": "markers", "hovertemplate": "%{text}<extra></extra>"}
    axis: dict[str, Any] = {"type": "log"} if logarithmic or _is_wide(x) else {}
    if _is_wide(x):
        axis["dtick"] = 1  # the powers of ten alone
    return {
        "kind": "plain",
        "data": [
            {
                **dots,
                "x": [x[best]],
                "y": [y[best]],
                "text": [hover[best]],
                "marker": {
                    "size": 17, "color": "rgba(0,0,0,0)",
                    "line": {"color": "var(--c1)", "width": 2},
                },
            },
            {**dots, "x": list(x), "y": list(y), "text": hover,
             "marker": {"size": 8, "color": "var(--c0)"}},
        ],
        "layout": {
            "showlegend": False,
            "xaxis": {"title": {"text": for_plotly(key)}, **axis},
            "yaxis": {"title": {"text": for_plotly(monitor)},
                      **({"tickformat": "~%"} if is_share(monitor) else {})},
            "margin": _MARGIN,
            "hovermode": "closest",
        },
    }  # fmt: skip


def _dimension(key: str, values: Sequence[float], logarithmic: bool) -> dict[str, Any]:
    """An axis; that of logarithms says the numbers."""
    label: dict[str, Any] = {"label": for_plotly(key)}
    if not logarithmic and not _is_wide(values):
        found = sorted(set(values))
        if len(found) <= min(_FEW, len(values) - 1):  # some come again: they were a choice
            label |= {"tickvals": found, "ticktext": [figure(value) for value in found]}
        return {**label, "values": list(values)}
    ticks = _ticks(min(values), max(values))
    return {
        **label,
        "values": [math.log10(value) for value in values],
        "tickvals": [math.log10(value) for value in ticks],
        "ticktext": [f"{value:g}" for value in ticks],
    }


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten around numbers far apart, and 1, 2, 5 of each power near one another."""
    lowest, highest = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(lowest, highest + 1, max((highest - lowest) // 8, 1))
    if high >= _WIDE * low:
        return [10.0**power for power in powers]
    steps = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    inside = [step for step in steps if low <= step <= high]
    return inside if len(inside) > 1 else [low, high]


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) >= _WIDE * min(values)
