"""The report of a sweep: one HTML file that needs no network.

    write_sweep_page(path, rows, history, "val/loss", "min", config_text, "digits sweep", shares)

Rows are those of a sweep.jsonl, history those of the units' history.jsonl.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrain.direction import Direction, rank
from jaxtrain.files.atomic import replacing
from jaxtrain.report.page.comparison import colour_of
from jaxtrain.report.page.content import Content, FigureJson, panel
from jaxtrain.report.page.document import document
from jaxtrain.report.page.figures import figure, figure_of, is_number
from jaxtrain.report.page.markup import Html, element, for_plotly, joined, table
from jaxtrain.report.page.panels import Curve, Panel, add_panels
from jaxtrain.report.page.series import Series, counted, points_each, thinned
from jaxtrain.report.page.sweep import parallel, scatter

_Rows = Sequence[Mapping[str, Any]]


def write_sweep_page(
    path: str | os.PathLike[str],
    rows: _Rows,
    history: _Rows,
    monitor: str,
    mode: Direction,
    config_text: str,
    title: str,
    importance: Mapping[str, float] | None = None,
    logarithmic: Collection[str] = (),
) -> Path:
    """Write the page.

    Args:
        path: of the HTML file; it is replaced whole or not at all.
        rows: one a member, with `member`, `values`, `value`, `best_epoch`, `epochs`, `status`.
        history: one an epoch of a unit, with `epoch`, `members` and a list of the monitor's values.
        monitor: what the members are ranked by.
        mode: "min" where a smaller value of it is better.
        config_text: the config and what was varied, as they are to be shown.
        title: of the page.
        importance: the share of each key; None where nobody knows.
        logarithmic: keys that were drawn by their logarithms, and are shown by them.

    Returns:
        Where it was written.

    Raises:
        OSError: it can't be written.
    """
    path = Path(path)
    content = sweep_content(
        rows, history, monitor, mode, config_text, title, importance, logarithmic
    )
    with replacing(path) as temporary:
        temporary.write_text(document(content), encoding="utf-8")
    return path


def sweep_content(
    rows: _Rows,
    history: _Rows,
    monitor: str,
    mode: Direction,
    config_text: str,
    title: str,
    importance: Mapping[str, float] | None = None,
    logarithmic: Collection[str] = (),
) -> Content:
    """What that page consists of; see `write_sweep_page`."""
    content = Content(title)
    order = sorted(rows, key=lambda row: (rank(row["value"], mode), row["member"]))
    known = [row for row in order if is_number(row["value"])]
    said = f"{len(rows)} members"
    if known:
        value = figure_of(monitor, known[0]["value"])
        said += f"; the best is member {known[0]['member']}, {monitor} {value}"
    content.heading = joined([element("p", said, class_="project"), element("h1", title)])
    _add_keys(content, known, monitor, mode, logarithmic)
    if importance:
        content.figures["importance"] = _bars(importance)
        told = ", ".join(f"{key} {share:.0%}" for key, share in importance.items())
        content.add("importance", "Importance", panel("importance", "share", told, tools=False))
    _add_curves(content, history, monitor)
    content.add("members", "Members", _members(order, monitor))
    content.add("config", "Config", element("pre", config_text))
    return content


def _add_keys(
    content: Content,
    rows: _Rows,
    monitor: str,
    mode: Direction,
    logarithmic: Collection[str],
) -> None:
    """Parallel coordinates over the keys that vary, and a panel for each that is a number."""
    columns: dict[str, list[float]] = {}
    choices: dict[str, list[str]] = {}
    for key in rows[0]["values"] if rows else ():
        values = [row["values"][key] for row in rows]
        texts = [_text(value) for value in values]
        names = list(dict.fromkeys(texts))
        if len(names) == 1:
            continue
        if all(is_number(value) for value in values):
            columns[key] = [float(value) for value in values]
        else:
            choices[key] = names
            columns[key] = [float(names.index(text)) for text in texts]
    if not columns:
        return
    y = [float(row["value"]) for row in rows]
    lines = parallel(columns, monitor, y, mode, logarithmic)
    for key, axis in zip(columns, lines["data"][0]["dimensions"], strict=False):
        if key in choices:
            axis["tickvals"] = list(range(len(choices[key])))
            axis["ticktext"] = [for_plotly(name) for name in choices[key]]
    content.figures["sweep"] = lines
    said = f"{len(y)} members by {', '.join(columns)} and {monitor}"
    places = [panel("sweep", f"all members, by {monitor}", said, tools=False, wide=True)]
    labels = [_label(row["member"]) for row in rows]
    each = []
    for key, x in columns.items():
        if key not in choices:
            content.figures[f"sweep:{key}"] = scatter(
                key, x, monitor, y, labels, mode, key in logarithmic
            )
            name = f"{monitor} by {key}"
            each.append(panel(f"sweep:{key}", name, name, tools=False))
    places.append(element("div", *each, class_="panels small"))
    content.add("sweep", "Sweep", joined(places))


def _bars(importance: Mapping[str, float]) -> FigureJson:
    keys = list(importance)[::-1]  # plotly begins at the bottom
    return {
        "kind": "plain",
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [importance[key] for key in keys],
                "y": [for_plotly(key) for key in keys],
                "marker": {"color": "var(--c0)"},
            }
        ],
        "layout": {
            "showlegend": False,
            "xaxis": {"tickformat": "~%"},
            "yaxis": {"automargin": True},
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        },
    }


def _add_curves(content: Content, history: _Rows, monitor: str) -> None:
    found: dict[int, dict[int, float | None]] = {}
    for row in history:
        for member, value in zip(row["members"], row[monitor], strict=True):
            # An epoch that was done again, after a break, counts as it was the last time.
            found.setdefault(member, {})[row["epoch"]] = float(value) if is_number(value) else None
    points = points_each(max(len(found), 1))
    curves = []
    for member in sorted(found):
        epochs = sorted(found[member])
        ys = [found[member][epoch] for epoch in epochs]
        series = counted(Series(monitor, "epoch", "epoch", [float(at) for at in epochs], ys))
        colour, dash = colour_of(member)
        curves.append(Curve(_label(member), colour, thinned(series, points), dash=dash, run=member))
    panels = [Panel(monitor, "epoch", tuple(curves))] if curves else []
    add_panels(content, panels, by_epoch=False)


def _members(rows: _Rows, monitor: str) -> Html:
    keys = list(dict.fromkeys(key for row in rows for key in row["values"]))
    header = ["rank", "member", "status", monitor, "best epoch", "epochs", *keys]
    cells = [
        [
            str(place),
            str(row["member"]),
            row["status"],
            figure_of(monitor, row["value"]) if is_number(row["value"]) else "none",
            "" if row["best_epoch"] is None else str(row["best_epoch"]),
            str(row["epochs"]),
            *(_text(row["values"][key]) if key in row["values"] else "" for key in keys),
        ]
        for place, row in enumerate(rows, 1)
    ]
    numeric = (0, 1, 3, 4, 5)
    return table(header, cells, caption="members of the sweep", numeric=numeric, sortable=True)


def _label(member: int) -> str:
    return f"member {member}"


def _text(value: Any) -> str:
    if is_number(value):
        return figure(value)
    return value if isinstance(value, str) else json.dumps(value)
