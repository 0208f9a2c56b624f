"""Several runs in one page: curves over each other, figures, and what their configs differ in.

    write_comparison([RunRecord.read(a), RunRecord.read(b)], "comparison.html")

A run has one colour in all of it; from the eighth on a dash besides.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrain.config import MISSING
from jaxtrain.direction import better, rank
from jaxtrain.errors import ConfigError
from jaxtrain.files.atomic import replacing
from jaxtrain.report.page.about import badge, flat, value_text
from jaxtrain.report.page.content import Content
from jaxtrain.report.page.document import document
from jaxtrain.report.page.figures import duration, figure, figure_of
from jaxtrain.report.page.markup import Html, element, joined, table
from jaxtrain.report.page.panels import Curve, Panel, add_panels
from jaxtrain.report.page.series import Series, points_each, series_of, thinned
from jaxtrain.report.page.sweep import add_sweep
from jaxtrain.tracking import RunRecord

_COLOURS = 7
_DASHES = ("solid", "dash", "dot", "dashdot")
_PREFIXES = ("test_", "best_val_", "final_val_", "final_train_")
_SIZES = ("best_epoch", "total_epochs", "total_steps", "parameters", "training_time_seconds")
_SMALLER = frozenset({"loss", "nll", "perplexity", "error", "mse", "mae", "rmse"})
# Where a run lies is not what it is made of.
_PLACE = "workdir"


def write_comparison(records: Sequence[RunRecord], path: str | os.PathLike[str]) -> Path:
    """Write a page that compares runs: one file that needs no network.

    Args:
        records: two runs or more.
        path: of the HTML file; it is replaced whole or not at all.

    Returns:
        Where it was written.

    Raises:
        ConfigError: there are fewer than two, or one is there twice.
        OSError: it can't be written.
    """
    path = Path(path)
    page = document(comparison_of(records))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def comparison_of(records: Sequence[RunRecord]) -> Content:
    """What that page consists of; see `write_comparison`."""
    paths = [record.path.resolve() for record in records]
    if len(paths) < 2:
        raise ConfigError(f"a comparison: expected two runs or more, found {len(paths)}")
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise ConfigError(f"a comparison: {twice[0]} is there twice")
    labels = labels_of(records)
    content = Content(f"{len(records)} runs compared")
    projects = dict.fromkeys(record.project for record in records)
    content.heading = joined(
        [
            element("p", ", ".join(projects), class_="project"),
            element("h1", content.title),
        ]
    )
    content.add("runs", "Runs", _figures(records, labels))
    add_panels(content, panels_of_runs(records, labels), by_epoch=_all_have_epochs(records))
    differing = differences(records)
    add_sweep(content, records, labels, differing)
    content.add("differences", "Config", _differences(labels, differing))
    return content


def labels_of(records: Sequence[RunRecord]) -> list[str]:
    """What each run is called: its id, with its project where that is another's as well."""
    ids = [record.id for record in records]
    named = [
        record.id if ids.count(record.id) == 1 else f"{record.project}/{record.id}"
        for record in records
    ]
    return [
        name if named.count(name) == 1 else str(record.path)
        for name, record in zip(named, records, strict=True)
    ]


def differences(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """By dotted key the values of all runs, MISSING where one lacks it; of keys that differ."""
    configs = [dict(flat(record.config)) for record in records]
    keys = dict.fromkeys(key for config in configs for key in config)
    found = {}
    for key in keys:
        values = [config.get(key, MISSING) for config in configs]
        if len({_text(value) for value in values}) > 1 and key != _PLACE:
            found[key] = values
    return found


def panels_of_runs(records: Sequence[RunRecord], labels: Sequence[str]) -> list[Panel]:
    """A panel for each name and axis, a curve a run; what is validated first."""
    every = [series_of(record.rows) for record in records]
    points = points_each(sum(len(series) for series in every))
    grouped: dict[tuple[str, str], list[Curve]] = {}
    for number, (label, series) in enumerate(zip(labels, every, strict=True)):
        for key, one in series.items():
            curve = _curve(number, label, thinned(one, points))
            grouped.setdefault(key, []).append(curve)
    names = [name for name, _ in grouped]

    def place(key: tuple[str, str]) -> tuple[bool, bool, bool]:
        group, _, bare = key[0].partition("/")
        return group != "val", group != "train", bare != "loss"

    return [
        Panel(name if names.count(name) == 1 else f"{name} by {axis}", axis, tuple(curves))
        for name, axis in sorted(grouped, key=place)
        for curves in [grouped[name, axis]]
    ]


def colour_of(number: int) -> tuple[str, str]:
    """Colour and dash of the run of that number.

    >>> colour_of(0), colour_of(7)
    (('var(--c0)', 'solid'), ('var(--c0)', 'dash'))
    """
    return f"var(--c{number % _COLOURS})", _DASHES[number // _COLOURS % len(_DASHES)]


def has_direction(name: str) -> bool:
    """Whether a small or a large value of it is better, as far as its name tells.

    >>> has_direction("test_accuracy"), has_direction("val/loss"), has_direction("learning_rate")
    (True, True, False)
    """
    words = name.rpartition("/")[2].split("_")
    return better(name) == "max" or not _SMALLER.isdisjoint(words)


def best_of(name: str, values: Sequence[float | None]) -> set[int]:
    """The places of the best values, where one is better than another and the name says how.

    >>> best_of("test_loss", [0.4, None, 0.3]), best_of("test_loss", [0.4, 0.4])
    ({2}, set())
    """
    known = {value for value in values if value is not None}
    if len(known) < 2 or not has_direction(name):
        return set()
    best = min(known, key=lambda value: rank(value, better(name)))
    return {place for place, value in enumerate(values) if value == best}


def _curve(number: int, label: str, series: Series) -> Curve:
    colour, dash = colour_of(number)
    return Curve(label, colour, series, dash=dash, run=number)


def _all_have_epochs(records: Sequence[RunRecord]) -> bool:
    return all(any(row.get("event") == "epoch" for row in record.rows) for record in records)


def _figures(records: Sequence[RunRecord], labels: Sequence[str]) -> Html:
    names = _columns(records)
    columns = [[record.figures.get(name) for record in records] for name in names]
    best = [best_of(name, values) for name, values in zip(names, columns, strict=True)]
    rows = []
    for number, (record, label) in enumerate(zip(records, labels, strict=True)):
        cells = [
            _figure(name, values[number], is_best=number in places)
            for name, values, places in zip(names, columns, best, strict=True)
        ]
        rows.append(
            [_run(number, label), element("td", badge(record.status.partition(":")[0])), *cells]
        )
    header = ["run", "status", *(name.replace("_", " ") for name in names)]
    return table(
        header, rows, caption="figures of the runs", numeric=range(2, len(header)), sortable=True
    )


def _columns(records: Sequence[RunRecord]) -> list[str]:
    """Of metrics.json what says how good it is; of other runs what they have logged last."""
    known: Mapping[str, Any] = dict.fromkeys(
        name
        for record in records
        for name in record.figures
        if name.startswith(_PREFIXES) or not record.summary
    )
    order = [name for prefix in _PREFIXES for name in known if name.startswith(prefix)]
    logged = [name for name in known if not name.startswith(_PREFIXES) and name not in _SIZES]
    logged.sort(key=lambda name: not has_direction(name))
    sizes = [name for name in _SIZES if any(name in record.figures for record in records)]
    return [*order, *logged, *sizes]


def _figure(name: str, value: float | None, *, is_best: bool) -> Html:
    if name == "training_time_seconds" and value is not None:
        told = duration(value)
        return element("td", told, class_="number", data_value=str(value))
    said = element("span", ", the best", class_="unseen") if is_best else None
    told_ = figure_of(name, value) if name not in _SIZES else figure(value)
    return element("td", told_, said, class_="number best" if is_best else "number")


def _run(number: int, label: str) -> Html:
    colour, dash = colour_of(number)
    style = {"solid": "solid", "dash": "dashed", "dot": "dotted", "dashdot": "double"}[dash]
    swatch = element(
        "span", class_="swatch", style=f"color: {colour}; border-top-style: {style}",
        aria_hidden="true",
    )  # fmt: skip
    box = element("input", type="checkbox", checked=True, data_run=number)
    return element("th", element("label", box, swatch, label, class_="run"), scope="row")


def _differences(labels: Sequence[str], found: Mapping[str, Sequence[Any]]) -> Html:
    if not found:
        return element("p", "The configs do not differ.", class_="note")
    rows = [
        [
            element("th", label, scope="row"),
            *(element("td", _text(values[number]), class_="value") for values in found.values()),
        ]
        for number, label in enumerate(labels)
    ]
    said = element("p", "Only the keys that differ.", class_="note")
    told = table(["run", *found], rows, caption="what the configs differ in", sortable=True)
    return joined([said, told])


def _text(value: Any) -> str:
    return str(value) if value is MISSING else value_text(value)
