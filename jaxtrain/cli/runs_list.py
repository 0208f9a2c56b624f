"""`runs list`: the runs that there are, a line each, the newest first.

runs list --project digits --tag trial --where "val/accuracy > 0.9" --sort val/loss --limit 5

With `--json` one document, `{"runs": [...]}`, each of them with

| key | |
|---|---|
| `id`, `project`, `path`, `tags` | |
| `status` | "running", "completed", "interrupted", "failed: ...", "killed", "broken: ..." |
| `time` | when it began or ended, ISO 8601, or null |
| `epochs`, `planned_epochs`, `steps` | that are over; planned ones are null where nobody said |
| `monitor`, `direction` | the metric that says how good it is, and "min" or "max"; or null |
| `best`, `best_step`, `last` | of that metric, or null |
| `changed` | what its config has that is not the default, by dotted keys |
| `figures` | the last value of everything logged, and what metrics.json says, by name |
| `lost` | what has ended in NaN or Inf: the step since which, by name; it is no figure |
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtrain.cli.columns import Column, print_columns
from jaxtrain.cli.command import Command
from jaxtrain.cli.printing import printable
from jaxtrain.cli.runs_words import add_json_word, add_root_word, refuse_overrides, root_of
from jaxtrain.cli.sparkline import sparkline
from jaxtrain.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from jaxtrain.cli.runs_facts import Facts

STATES = ("running", "completed", "interrupted", "failed", "killed", "broken", "remnant", "unknown")

_KEYS = """\
--json prints {"runs": [...]}, each with id, project, path, status, tags, time,
epochs, planned_epochs, steps, monitor, direction, best, best_step, last,
changed (config that is not the default, by dotted keys), figures (the last
value of everything, and what metrics.json says) and lost (what has ended in NaN
or Inf: the step since which, by name). What is not known is null."""

_SPARKS = 16
_ELSEWHERE = ("project", "tags", "workdir")  # in columns of their own


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_root_word(parser)
    parser.add_argument("--project", metavar="NAME", help="only those of a project")
    for option, help in {
        "--tag": "only those with that tag; can be repeated: all of them are wanted",
        "--where": "only those with such a figure, for instance 'val/accuracy > 0.9': the last "
        "value of a metric, or one of metrics.json (test_accuracy); can be repeated",
    }.items():
        parser.add_argument(option, action="append", default=[], metavar="TEXT", help=help)
    parser.add_argument("--status", choices=STATES, help="only those of a status")
    parser.add_argument(
        "--sort", metavar="METRIC", help="by the last value of a metric, the best first"
    )
    parser.add_argument("--limit", metavar="N", help="at most so many, of the first")
    add_json_word(parser, _KEYS)


def _list(options: argparse.Namespace, overrides: list[str]) -> int:
    from jaxtrain.cli.runs_facts import Facts, print_json
    from jaxtrain.cli.runs_named import handles, newest_first
    from jaxtrain.cli.runs_where import Condition
    from jaxtrain.direction import better, rank
    from jaxtrain.tracking import find_runs

    refuse_overrides(options, overrides)
    limit = _limit(options.limit)
    conditions = [Condition.of(text) for text in options.where]
    root = root_of(options)
    records = newest_first(list(find_runs(root, broken=True)))
    names = dict(zip((r.path for r in records), handles(records), strict=True))
    found = [Facts(record) for record in records]
    wanted = [condition.name for condition in conditions]
    wanted += [] if options.sort is None else [options.sort]
    for name in wanted if found else ():
        _refuse_unknown(name, found)
    found = [
        run
        for run in found
        if options.project in (None, run.record.project)
        and options.status in (None, run.state)
        and set(options.tag) <= set(run.record.tags)
        and all(condition.holds(run.figures) for condition in conditions)
    ]
    if options.sort is not None:
        direction = better(options.sort)
        found.sort(key=lambda run: rank(run.figures.get(options.sort), direction))
    shown = found[:limit]
    if options.json:
        print_json({"runs": [run.as_json() for run in shown]})
    elif not shown:
        print(f"none of {len(records)} runs is so" if records else f"no runs below {root}")
    else:
        _print(shown, [names[run.record.path] for run in shown], list(dict.fromkeys(wanted)))
        if len(shown) < len(found):
            print(f"and {len(found) - len(shown)} more")
    return 0


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not text.isascii() or int(text) < 1:
        raise ConfigError(f"--limit: expected a whole number from 1 on, found {text!r}")
    return int(text)


def _refuse_unknown(name: str, found: Sequence[Facts]) -> None:
    """A figure that no run has is a slip of the pen: the list would be empty without a word."""
    if not any(name in run.figures for run in found):
        known = dict.fromkeys(other for run in found for other in run.figures)
        raise ConfigError(f"no run has a figure {name!r}{did_you_mean(name, known)}")


def _print(found: Sequence[Facts], names: Sequence[tuple[str, str]], wanted: Sequence[str]) -> None:
    from jaxtrain.cli.runs_facts import number

    curves = [run.monitored for run in found]
    monitors = {run.monitor for run, curve in zip(found, curves, strict=True) if curve}
    best = [
        printable(f"{number(curve.best)} {run.monitor if len(monitors) > 1 else ''}".rstrip())
        if curve
        else ""
        for run, curve in zip(found, curves, strict=True)
    ]
    of = f"best {printable(str(*monitors))}" if len(monitors) == 1 else "best"
    print_columns(
        [
            _run_column(names),
            Column("project", [printable(run.record.project) for run in found], worth=7),
            Column("status", [printable(run.told) for run in found], worth=11),
            Column("tags", [printable(", ".join(run.record.tags)) for run in found], 2, least=8),
            Column("when", [_when(run) for run in found], worth=4),
            Column("epochs", [_epochs(run) for run in found], worth=8, right=True),
            Column(
                "steps",
                [f"{run.steps:,}" if run.steps else "" for run in found],
                worth=1,
                right=True,
            ),
            *(
                Column(
                    printable(name),
                    [number(run.figures[name]) if name in run.figures else "" for run in found],
                    worth=10,
                    right=True,
                )
                for name in wanted
            ),
            Column(of, best, worth=9),
            Column(
                "curve",
                [sparkline(curve.values, width=_SPARKS) if curve else "" for curve in curves],
                worth=5,
            ),
            Column("differs", _differences(found), worth=3, least=12),
        ]
    )


def _run_column(names: Sequence[tuple[str, str]]) -> Column:
    full, short = ([printable(name[at]) for name in names] for at in (0, 1))
    return Column("run", full, shorter=short, shorten_at=6)


def _when(run: Facts) -> str:
    return "" if run.time is None else f"{run.time:%Y-%m-%d %H:%M}"


def _epochs(run: Facts) -> str:
    if run.planned is None:
        return str(run.epochs or "")
    return f"{run.epochs}/{run.planned}"


def _differences(found: Sequence[Facts]) -> list[str]:
    """What is not the default, first of all that in which the runs of a project differ."""
    from jaxtrain.cli.runs_config import told

    values: dict[tuple[str, str], list[str]] = defaultdict(list)
    runs = Counter(run.record.project for run in found if run.changed)
    for run in found:
        for key, value in run.changed.items():
            values[run.record.project, key].append(repr(value))
    texts = []
    for run in found:
        project = run.record.project
        same = {
            key: len(set(values[project, key])) == 1 and len(values[project, key]) == runs[project]
            for key in run.changed
            if key not in _ELSEWHERE
        }
        keys = sorted(same, key=same.__getitem__)
        texts.append(", ".join(printable(f"{key}={told(run.changed[key])}") for key in keys))
    return texts


COMMAND = Command("the runs that there are, a line each", _add_words, _list)
