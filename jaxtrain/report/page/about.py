"""What a run is, in words and figures: heading, tiles, metrics, config, environment, artifacts.

content.heading = heading(record)
add_metrics(content, record)
add_config(content, record)
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.figures import duration, figure, figure_of, is_number, size
from jaxtrain.report.page.markup import Html, element, joined, table
from jaxtrain.report.page.panels import best_epoch
from jaxtrain.report.page.series import series_of
from jaxtrain.tracking import RunRecord

_KINDS = ("running", "completed", "interrupted", "failed", "killed")
_SHOWN_ELSEWHERE = {
    "config", "environment", "status", "time", "project", "tags", "changed", "label_names",
}  # fmt: skip


def heading(record: RunRecord) -> Html:
    """Its name, status and tags, and the figures that one asks for first."""
    tags = [element("li", tag) for tag in record.tags]
    when = record.metadata.get("time")
    return joined(
        [
            element("p", record.project, class_="project"),
            element("h1", record.id),
            element(
                "p",
                badge(record.status),
                element("span", f"{_date(when)}", class_="when") if when else None,
                class_="state",
            ),
            element("ul", *tags, class_="tags", aria_label="tags") if tags else None,
            tiles(record),
        ]
    )


def badge(status: str) -> Html:
    """The status, in a colour and in words."""
    kind = status.partition(":")[0]
    return element("span", status, class_=f"badge {kind if kind in _KINDS else 'unknown'}")


def tiles(record: RunRecord) -> Html | None:
    """The figures that one asks for first: the best, the test's, its size and its time."""
    found: list[tuple[str, str, str]] = []
    row, monitor = best_epoch(record)
    if row is not None:
        found.append((f"best {monitor}", figure_of(monitor, row[monitor]), f"epoch {row['epoch']}"))
    for name, value in record.summary.items():
        if name.startswith("test_") and is_number(value) and len(found) < 4:
            found.append((name.replace("_", " ", 1), figure_of(name, value), ""))
    if not found:
        for (name, _), one in list(series_of(record.rows).items())[:4]:
            found.append((f"last {name}", figure_of(name, one.last), f"{one.axis} {one.xs[-1]}"))
    for name, label in (("parameters", "parameters"), ("total_steps", "steps")):
        if is_number(record.summary.get(name)):
            value = record.summary[name]
            epochs = record.summary.get("total_epochs") if name == "total_steps" else None
            beside = f"{figure(epochs)} epochs" if is_number(epochs) else ""
            found.append((label, figure(value), beside))
    seconds = record.summary.get("training_time_seconds")
    if is_number(seconds):
        found.append(("time", duration(seconds), ""))
    parts = [
        element("div", element("dt", label), element("dd", value, element("small", beside or None)))
        for label, value, beside in found
    ]
    return element("dl", *parts, class_="tiles") if parts else None


def add_metrics(content: Content, record: RunRecord) -> None:
    """Add the table of metrics.json, and of the series that it does not tell of."""
    groups = {"final_train_": 0, "final_val_": 1, "best_val_": 2, "test_": 3}
    found: dict[str, list[str]] = {}
    for name, value in record.summary.items():
        for prefix, column in groups.items():
            if name.startswith(prefix) and is_number(value):
                bare = name.removeprefix(prefix)
                found.setdefault(bare, ["–"] * 4)[column] = figure_of(bare, value)
    parts = []
    if found:
        header = ["metric", "training, last", "validation, last", "validation, best", "test"]
        rows = [[_row_name(name), *cells] for name, cells in found.items()]
        parts.append(table(header, rows, caption="metrics", numeric=range(1, 5)))
    told = {f"{group}/{name}" for group in ("train", "val") for name in found}
    rows = []
    for (name, axis), one in series_of(record.rows).items():
        values = [value for value in one.ys if value is not None]
        if name in told:
            continue
        edges = (min(values), max(values)) if values else (None, None)
        low, high = (figure_of(name, edge) for edge in edges)
        last = figure_of(name, one.last)
        rows.append([_row_name(name), last, low, high, f"{axis} {figure(one.xs[-1])}"])
    if rows:
        header = ["logged", "last", "smallest", "largest", "up to"]
        caption = "what was logged"
        named = [element("summary", f"{len(rows)} series besides")] if found else []
        told_rows = table(header, rows, caption=caption, numeric=range(1, 5), sortable=True)
        parts.append(element("details", *named, told_rows) if found else told_rows)
    content.add("metrics", "Metrics", joined(parts))


def add_config(content: Content, record: RunRecord) -> None:
    """Add the config; what is no default is marked where metadata.json says it."""
    said = record.metadata.get("changed")
    other = {str(key) for key in said} if isinstance(said, list) else set()
    rows, changed = [], []
    for key, value in flat(record.config):
        differs = any(key == one or key.startswith(f"{one}.") for one in other)
        cell = element("td", value_text(value), class_="value")
        if differs:
            changed.append([_row_name(key), cell])
        mark = element("span", "●", class_="mark", role="img", aria_label="no default")
        name = element("th", key, " " if differs else None, mark if differs else None, scope="row")
        rows.append([name, cell])
    if not rows:
        return
    header = ["key", "value"]

    parts = []
    if changed:
        parts.append(element("p", "What is not at its default:", class_="note"))
        parts.append(table(header, changed, caption="what is not at its default"))
    whole = table(header, rows, caption="config")
    title = f"all {len(rows)} keys"
    parts.append(
        element("details", element("summary", title), whole, open=not changed and len(rows) < 25)
    )
    content.add("config", "Config", joined(parts))


def add_environment(content: Content, record: RunRecord) -> None:
    """Add where it ran: command, host, versions, and what else metadata.json says."""
    found = []
    command = record.metadata.get("command")
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        found.append(("command", shlex.join(command)))
    more = {
        key: value
        for key, value in record.metadata.items()
        if key not in _SHOWN_ELSEWHERE and key != "command"
    }
    found += [(key, value_text(value)) for key, value in flat(more) if value not in (None, {}, [])]
    environment = record.metadata.get("environment")
    if isinstance(environment, dict):
        found += [(key, value_text(value)) for key, value in flat(environment) if value != ""]
    found.append(("directory", str(record.path.absolute())))
    rows = [[_row_name(key), element("td", value, class_="value")] for key, value in found]
    told = table(["what", "value"], rows, caption="environment")
    html = element("details", element("summary", "where it ran, and with which versions"), told)
    content.add("environment", "Environment", html)


def add_artifacts(content: Content, record: RunRecord) -> None:
    """Add the artifacts that it has logged."""
    rows = []
    for one in record.artifacts:
        files = [one.path / name for name in one.files]
        there = [file.stat().st_size for file in files if file.is_file()]
        missing = len(files) - len(there)
        count = f"{len(files)} file{'' if len(files) == 1 else 's'}, {size(sum(there))}"
        rows.append(
            [
                _row_name(one.name),
                one.type,
                ", ".join(one.aliases),
                element("td", element("code", one.version)),
                count + (f"; {missing} missing" if missing else ""),
                one.description,
                _date(one.time),
            ]
        )
    header = ["artifact", "type", "aliases", "version", "files", "description", "logged"]
    told = table(header, rows, caption="artifacts", sortable=True) if rows else None
    content.add("artifacts", "Artifacts", told)


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested dicts.

    >>> dict(flat({"a": {"b": 1, "c": {}}, "d": [2]}))
    {'a.b': 1, 'a.c': {}, 'd': [2]}
    """
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def value_text(value: Any) -> str:
    """A value of a config, as JSON but for a text, which needs no quotes.

    >>> value_text("adamw"), value_text([128, 128]), value_text(None), value_text(1e-08)
    ('adamw', '[128, 128]', 'null', '1e-08')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row_name(name: str) -> Html:
    return element("th", name, scope="row")


def _date(time: Any) -> str:
    """ISO 8601 as people read it.

    >>> _date("2026-11-29T20:43:20+00:00"), _date("yesterday")
    ('2026-11-29 20:43 UTC', 'yesterday')
    """
    said = str(time)
    date, _, clock = said.partition("T")
    if len(date) == 10 and len(clock) >= 5 and said.endswith("+00:00"):
        return f"{date} {clock[:5]} UTC"
    return said
