"""`runs compare`: figures side by side, and where the configs differ.

runs compare seed0-1a seed0-2b --metric val/loss

The best of each row has a `*`. With `--json` one document; its lists are in the order of the runs:

| key | |
|---|---|
| `runs` | what `runs list --json` says of each |
| `figures` | by name `values`, null where there is none, `direction`, "min", "max" or null, and |
| | `best`, the places of the best ones, from 0 on |
| `config` | lists of values, null where it is not set, by those dotted keys that differ |
| `curves` | by name `steps` and `values` of each run, null where it has none |
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from jaxtrain.cli.columns import GAP, Column, cut, print_columns, terminal_width
from jaxtrain.cli.command import Command
from jaxtrain.cli.printing import printable
from jaxtrain.cli.runs_words import (
    add_json_word,
    add_run_words,
    refuse_overrides,
    root_of,
    take_run,
)
from jaxtrain.cli.sparkline import sparkline
from jaxtrain.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from jaxtrain.cli.runs_facts import Curve, Facts
    from jaxtrain.direction import Direction

_KEYS = """\
--json prints runs (as `runs list --json`), figures (by name: values, direction,
best: the places of the best), config (by keys that differ: values) and curves
(by name: steps and values of each run). What is not there is null."""

_SPARKS = 14
_VALUE = 30


@dataclass(frozen=True)
class Row:
    """A figure of all the runs.

    Attributes:
        name: what it is.
        values: one a run; None where it has none.
        direction: which way it is better; None where that can't be said.
    """

    name: str
    values: Sequence[float | None]
    direction: Direction | None

    @property
    def best(self) -> list[int]:
        """Where the best are; nowhere, if there is nothing that they are better than."""
        known = [value for value in self.values if value is not None]
        if self.direction is None or len(set(known)) < 2:
            return []
        best = min(known) if self.direction == "min" else max(known)
        return [at for at, value in enumerate(self.values) if value == best]


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_run_words(parser, several=True)
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="only that figure; can be repeated",
    )
    add_json_word(parser, _KEYS)


def _compare(options: argparse.Namespace, overrides: list[str]) -> int:
    from jaxtrain.cli.runs_facts import Facts, print_json
    from jaxtrain.cli.runs_named import handles, meant

    refuse_overrides(options, overrides)
    records = [meant(text, root_of(options)) for text in options.runs]
    if len({record.path.resolve() for record in records}) < max(len(records), 2):
        raise ConfigError("runs compare: expected two runs or more, each of them once")
    runs = [Facts(record) for record in records]
    wanted = options.metric or list(dict.fromkeys(n for run in runs for n in run.figures))
    for name in options.metric:
        if not any(name in run.figures for run in runs):
            known = [other for run in runs for other in run.figures]
            raise ConfigError(f"--metric: no run has {name!r}{did_you_mean(name, known)}")
    rows = list(_rows(runs, wanted, every=not options.metric))
    curves = {name: found for name in wanted if any(found := [run.curve(name) for run in runs])}
    differing = _differing(runs)
    if options.json:
        print_json(
            {
                "runs": [run.as_json() for run in runs],
                "figures": {row.name: _row_json(row) for row in rows},
                "config": differing,
                "curves": {name: [_curve_json(c) for c in some] for name, some in curves.items()},
            }
        )
        return 0
    heads = [printable(short if len(full) > _VALUE else full) for full, short in handles(records)]
    _print("status", heads, [("", [printable(run.state) for run in runs])])
    _print("figures", heads, [(row.name, _marked(row)) for row in rows])
    _print("curves", heads, [_curve_row(name, some) for name, some in curves.items()])
    _print("config", heads, [(k, [_value(v) for v in some]) for k, some in differing.items()])
    return 0


def _rows(runs: Sequence[Facts], wanted: Sequence[str], *, every: bool) -> Iterator[Row]:
    """The last value of each, and the best of what is not only of the training."""
    metrics = {name for run in runs for name in run.metrics}
    names = {name for run in runs for name in run.record.names}
    for name in wanted:
        curves = [run.curve(name) for run in runs]
        if name not in names:
            if not (every and _is_told_already(name, names)):
                yield Row(name, [run.figures.get(name) for run in runs], _direction_of(name))
            continue
        direction = next(curve.direction for curve in curves if curve is not None)
        known = direction if name in metrics else None
        yield Row(name, [curve.last if curve else None for curve in curves], known)
        if known and not name.startswith("train/") and any(c and len(c.values) > 1 for c in curves):
            yield Row(f"{name}, best", [c.best if c else None for c in curves], known)


def _is_told_already(name: str, names: set[str]) -> bool:
    """Whether a field of metrics.json says what a curve says: `final_val_loss`, `best_val_loss`."""
    group, _, rest = name.removeprefix("final_").removeprefix("best_").partition("_")
    return f"{group}/{rest}" in names


def _direction_of(name: str) -> Direction | None:
    """Of fields of metrics.json: more parameters or epochs are neither better nor worse."""
    from jaxtrain.direction import better

    return better(name) if name.startswith(("test_", "final_", "best_val_")) else None


def _differing(runs: Sequence[Facts]) -> dict[str, list[Any]]:
    from jaxtrain.cli.runs_config import leaves

    configs = [dict(leaves(run.record.config)) for run in runs]
    keys = dict.fromkeys(key for config in configs for key in config)
    found = {key: [config.get(key) for config in configs] for key in keys}
    # True == 1, and one run may lack what another has as None.
    return {
        key: values
        for key, values in found.items()
        if len({repr(value) for value in values}) > 1
        or len({key in config for config in configs}) > 1
    }


def _marked(row: Row) -> list[str]:
    from jaxtrain.cli.runs_facts import number

    best = row.best
    cells = ["" if value is None else number(value) for value in row.values]
    return [f"{cell}{'*' if at in best else ' '}" for at, cell in enumerate(cells)]


def _curve_row(name: str, curves: Sequence[Curve | None]) -> tuple[str, list[str]]:
    """All on one scale, which is said beside the name."""
    from jaxtrain.cli.runs_facts import number

    every = [value for curve in curves if curve for value in curve.values]
    low, high = min(every), max(every)
    cells = [sparkline(c.values, width=_SPARKS, low=low, high=high) if c else "" for c in curves]
    return f"{name} ({number(low)} to {number(high)})", cells


def _value(value: Any) -> str:
    from jaxtrain.cli.runs_config import told

    return cut(printable(told(value)), _VALUE)


def _print(title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """A table, or several below each other where the terminal is narrow."""
    if not rows:
        return
    first = Column(title, [printable(name) for name, _ in rows])
    is_left = title in ("curves", "status")
    columns = [
        Column(head, [cells[at] for _, cells in rows], right=not is_left)
        for at, head in enumerate(heads)
    ]
    while columns:
        count = max(_how_many(first, columns), 1)
        if title != "status":
            print()
        print_columns([first, *columns[:count]], keep_empty=True)
        columns = columns[count:]


def _how_many(first: Column, columns: Sequence[Column]) -> int:
    widths = accumulate((GAP + column.width for column in columns), initial=first.width)
    return sum(width <= terminal_width() for width in list(widths)[1:])


def _row_json(row: Row) -> dict[str, Any]:
    return {"values": list(row.values), "direction": row.direction, "best": row.best}


def _curve_json(curve: Curve | None) -> dict[str, Any] | None:
    return None if curve is None else {"steps": curve.steps, "values": curve.values}


COMMAND = Command("figures of runs side by side", _add_words, _compare, take_run)
