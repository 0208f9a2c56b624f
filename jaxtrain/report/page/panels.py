"""The curves: a panel a metric, training and validation in it.

    for panel in panels_of(series_of(record.rows)): panel.title, panel.curves
    add_curves(content, record)

The page's script smooths them, and puts them over iterations or epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtrain.direction import Mode
from jaxtrain.report.epochs import best
from jaxtrain.report.page.content import Content, FigureJson, panel
from jaxtrain.report.page.figures import figure, figure_of, is_number, is_share, unit_of
from jaxtrain.report.page.markup import Html, element, for_plotly, joined
from jaxtrain.report.page.series import Series, drawn, points_each, series_of, thinned
from jaxtrain.tracking import RunRecord
from jaxtrain.tracking.rows import STEP

_GROUPS = {"train": "training", "val": "validation", "test": "test"}
_COLOURS = {"train": "var(--c0)", "val": "var(--c1)", "test": "var(--c2)"}
_FEW = 30


@dataclass(frozen=True)
class Curve:
    """One of a panel.

    Attributes:
        label: what it is called in the legend.
        colour: as the style sheet names it.
        series: its values.
        faint: whether it is the background of the others.
        dash: as plotly calls it.
        run: the number of its run, where there are several.
    """

    label: str
    colour: str
    series: Series
    faint: bool = False
    dash: str = "solid"
    run: int | None = None


@dataclass(frozen=True)
class Panel:
    """Curves over one axis.

    Attributes:
        title: of the metric.
        axis: "step", or one of somebody's own.
        curves: at least one.
        point: the best epoch's step, epoch, value and label, where it is marked.
    """

    title: str
    axis: str
    curves: tuple[Curve, ...]
    point: tuple[int, float | None, float, str] | None = None

    @property
    def key(self) -> str:
        """Of its figure."""
        return f"curve:{self.axis}:{self.title}"

    @property
    def said(self) -> str:
        """What it shows, in words."""
        ends = [
            f"{curve.label} ends at {figure_of(self.title, curve.series.last)}"
            for curve in self.curves
            if curve.series.last is not None
        ]
        return f"{self.title}: {'; '.join(ends[:8]) or 'no finite value'}"

    def to_json(self) -> FigureJson:
        """What the page's script draws."""
        return {
            "kind": "curves",
            "name": self.title,
            "axis": "" if self.axis == STEP else for_plotly(self.axis),
            "smooths": True,
            "share": is_share(self.title),
            "unit": "" if is_share(self.title) else unit_of(self.title).name,
            "curves": [_curve_json(curve) for curve in self.curves],
            "point": self.point,
            "note": _note(self),
        }


def panels_of(series: Mapping[tuple[str, str], Series]) -> list[Panel]:
    """A panel a metric: first those that are trained and validated, the loss before all."""
    grouped: dict[tuple[str, str], list[Curve]] = {}
    series = {key: thinned(one, points_each(len(series))) for key, one in series.items()}
    for (name, axis), one in series.items():
        group, _, bare = name.partition("/")
        if group in _GROUPS and bare:
            curve = Curve(_GROUPS[group], _COLOURS[group], one)
            grouped.setdefault((bare, axis), []).append(curve)
    order = list(_GROUPS.values())
    for curves in grouped.values():
        curves.sort(key=lambda curve: order.index(curve.label))
    told = set(grouped)
    for (name, axis), one in series.items():
        group, _, bare = name.partition("/")
        if group in _GROUPS and bare:
            continue
        if (name, axis) in told:  # the loss of single steps, beside its means
            single = Curve("single steps", "var(--quiet)", one, faint=True)
            grouped[name, axis].insert(0, single)
        else:
            grouped.setdefault((name, axis), []).append(Curve(name, "var(--c0)", one))
    keys = sorted(grouped, key=lambda key: (key not in told, key[0] != "loss"))
    titles = [title for title, _ in keys]
    return [
        Panel(title if titles.count(title) == 1 else f"{title} by {axis}", axis, tuple(curves))
        for (title, axis) in keys
        for curves in [grouped[title, axis]]
    ]


def add_curves(content: Content, record: RunRecord) -> None:
    """Add the section of the curves."""
    series = series_of(record.rows)
    panels = [_marked(panel, record) for panel in panels_of(series)]
    has_epochs = any(one.epochs for one in series.values())
    add_panels(content, panels, by_epoch=has_epochs)


def add_panels(content: Content, panels: list[Panel], *, by_epoch: bool) -> None:
    """Add the section of these panels.

    Args:
        content: what to add to.
        panels: what is drawn.
        by_epoch: whether epochs are known.
    """
    for one in panels:
        content.figures[one.key] = one.to_json()
    places = joined(panel(one.key, one.title, one.said) for one in panels)
    html = element("div", places, class_="panels") if panels else None
    content.add("curves", "Curves", html, _tools(by_epoch, len(panels)))


def _tools(by_epoch: bool, count: int) -> Html:
    axis = element(
        "label",
        "over ",
        element(
            "select",
            element("option", "iterations", value="iteration"),
            element("option", "epochs", value="epoch"),
            id="over",
        ),
    )
    smoothing = element(
        "label",
        "smoothing ",
        element(
            "input", id="smoothing", type="range", min="0", max="0.99", step="0.01", value="0",
            aria_label="smoothing",
        ),
        element("output", "0", id="smoothed", for_="smoothing"),
    )  # fmt: skip
    every = element("button", "log axes", type="button", data_do="log-all", aria_pressed="false")
    find = element(
        "label",
        "only ",
        element("input", id="filter", type="search", placeholder="a part of a name"),
    )
    wanted = [smoothing, axis if by_epoch else None, every, find if count > 8 else None]
    return element("div", *wanted, class_="toolbar", role="group", aria_label="of all curves")


def _marked(panel: Panel, record: RunRecord) -> Panel:
    """With the best epoch marked on the curve of its validation."""
    row, _ = best_epoch(record)
    value = None if row is None else row.get(f"val/{panel.title}")
    if row is None or panel.axis != STEP or not isinstance(value, int | float):
        return panel
    label = f"best epoch ({row['epoch']}): {figure_of(panel.title, value)}"
    point = (int(row["iteration"]), float(row["epoch"]), float(f"{value:.7g}"), label)
    return Panel(panel.title, panel.axis, panel.curves, point)


def best_epoch(record: RunRecord) -> tuple[Mapping[str, Any] | None, str]:
    """The row of the best epoch, None where there is none, and the metric that it was chosen by."""
    section = record.config.get("checkpoint")
    section = section if isinstance(section, dict) else {}
    monitor = record.summary.get("monitor") or section.get("monitor")
    monitor = monitor if isinstance(monitor, str) else "val/loss"
    said = section.get("mode")
    mode: Mode = "min" if said == "min" else "max" if said == "max" else "auto"
    rows = [
        {key: value for key, value in row.items() if is_number(value)}
        for row in record.rows
        if row.get("event") == "epoch"
        and all(isinstance(row.get(key), int) for key in ("epoch", "iteration"))
    ]
    return best(rows, monitor, mode), monitor


def _curve_json(curve: Curve) -> dict[str, Any]:
    series = curve.series
    return {
        "label": for_plotly(curve.label),
        "colour": curve.colour,
        "dash": curve.dash,
        "faint": curve.faint,
        "run": curve.run,
        "points": len(series.xs) <= _FEW,
        "x": series.xs,
        "epochs": series.epochs,
        "y": drawn(series.ys),
    }


def _note(panel: Panel) -> str:
    said = []
    for curve in panel.curves:
        of = f" of {curve.label}" if len(panel.curves) > 1 else ""
        if curve.series.missing:
            said.append(f"not a finite number: {figure(curve.series.missing)} values{of}")
        if curve.series.total > len(curve.series.xs):
            said.append(
                f"drawn: {figure(len(curve.series.xs))} of {figure(curve.series.total)} values{of},"
                " the smallest and largest of each stretch"
            )
    return "; ".join(said)
