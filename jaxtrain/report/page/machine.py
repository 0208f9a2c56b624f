"""What the machine did meanwhile: a panel for each column of system.jsonl, in its unit.

add_machine(content, record)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtrain.report.page.content import Content, panel
from jaxtrain.report.page.figures import Unit, figure, is_number, unit_of, without_unit
from jaxtrain.report.page.markup import element, for_plotly, joined
from jaxtrain.report.page.series import Series, counted, drawn, points_each, thinned
from jaxtrain.tracking import RunRecord

_PLACES = ("iteration", "seconds", "time", "epoch", "event", "step")


def add_machine(content: Content, record: RunRecord) -> None:
    """Add the section, where there is a system.jsonl with numbers in it."""
    rows = record.system
    names = dict.fromkeys(name for row in rows for name, value in row.items() if is_number(value))
    columns = [name for name in names if name not in _PLACES]
    if not columns:
        return
    time, along = _along(rows)
    places = []
    for name in columns:
        unit = unit_of(name, _largest(rows, name))
        series = thinned(_column(rows, name, time, along.size), points_each(len(columns)))
        title = without_unit(name)
        key = f"system:{name}"
        values = [None if y is None else y / unit.size for y in series.ys]
        content.figures[key] = {
            "kind": "curves",
            "name": title,
            "axis": along.name,
            "smooths": False,
            "share": False,
            "unit": unit.name,
            "curves": [
                {
                    "label": for_plotly(title),
                    "colour": "var(--c2)",
                    "dash": "solid",
                    "faint": False,
                    "points": len(series.xs) <= 30,
                    "x": series.xs,
                    "epochs": [],
                    "y": drawn(values),
                }
            ],
            "point": None,
            "note": "",
        }
        known = [value for value in values if value is not None]
        most = f"at most {figure(max(known))} {unit.name}" if known else "no finite value"
        places.append(panel(key, title, f"{title}: {most}"))
    content.add("system", "System", element("div", joined(places), class_="panels small"))


def _along(rows: Sequence[Mapping[str, Any]]) -> tuple[str, Unit]:
    """The column that is the axis, and its unit."""
    seconds = [row["seconds"] for row in rows if is_number(row.get("seconds"))]
    if not seconds:
        return "iteration", Unit("iteration")
    if max(seconds) >= 2 * 3600:
        return "seconds", Unit("time, h", 3600.0)
    return "seconds", Unit("time, min", 60.0) if max(seconds) >= 180 else Unit("time, s")


def _column(rows: Sequence[Mapping[str, Any]], name: str, time: str, size: float) -> Series:
    """The values of a column; where time begins anew, as in a run that went on, a gap."""
    series = Series(name, time, "system")
    for row in rows:
        x, y = row.get(time), row.get(name)
        if not is_number(x) or not isinstance(y, int | float):
            continue
        x = float(f"{x / size:.6g}")
        if series.xs and x < series.xs[-1]:
            series.xs.append(series.xs[-1])
            series.ys.append(None)
        series.xs.append(x)
        series.ys.append(float(y) if is_number(y) else None)
    return counted(series)


def _largest(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return max((abs(row[name]) for row in rows if is_number(row.get(name))), default=0.0)
