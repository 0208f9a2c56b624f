"""`runs show`: everything that is worth knowing of a run.

runs show latest
runs show digits/seed0-1a --json

With `--json` one document: what `runs list --json` says of a run, and

| key | |
|---|---|
| `command`, `host`, `pid`, `git_revision`, `environment` | as metadata.json has them, or null |
| `config` | the whole of it |
| `curves` | by name `axis`, `steps`, `values`, `best` and `best_step` |
| `media` | lists of `kind`, `name`, `step`, `path` and `caption` |
| `artifacts` | lists of `name`, `type`, `version`, `aliases`, `path` and `files` |
| `next` | commands by what they do: `train`, `evaluate`; and `report`, a path |
"""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jaxtrain.cli.columns import Column, print_columns
from jaxtrain.cli.command import Command
from jaxtrain.cli.printing import printable, shown
from jaxtrain.cli.runs_words import add_json_word, add_run_words, refuse_overrides, root_of
from jaxtrain.cli.sparkline import sparkline

if TYPE_CHECKING:
    from jaxtrain.cli.runs_facts import Facts
    from jaxtrain.tracking import RunRecord

_KEYS = """\
--json prints what `runs list --json` says of a run, and command, host, pid,
git_revision, environment, config, curves (by name: axis, steps, values, best,
best_step), media, artifacts, and next (commands by what they do)."""

_NOTED = ("command", "host", "pid", "git_revision", "environment")
_SPARKS = 32
_PROGRAM = "python -m jaxtrain.main"


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_run_words(parser, several=False)
    add_json_word(parser, _KEYS)


def _show(options: argparse.Namespace, overrides: list[str]) -> int:
    from jaxtrain.cli.runs_config import told
    from jaxtrain.cli.runs_facts import Facts, print_json
    from jaxtrain.cli.runs_named import meant

    refuse_overrides(options, overrides)
    run = Facts(meant(options.runs[0], root_of(options)))
    if options.json:
        print_json({**run.as_json(), **_more(run)})
        return 0
    for name, text in _head(run):
        print(f"{name:11} {printable(text)}")
    _print_curves(run)
    _print_section("test", _tests(run))
    _print_section("media", _media(run.record))
    _print_section("artifacts", _artifacts(run.record))
    _print_section("config", [f"{key} = {told(value)}" for key, value in run.changed.items()])
    _print_section("next", [f"{what:9} {how}" for what, how in _next(run).items()])
    return 0


def _head(run: Facts) -> Iterator[tuple[str, str]]:
    from jaxtrain.cli.runs_facts import number

    said = run.record.metadata
    yield "run", str(shown(run.record.path.absolute()))
    yield "status", run.record.status
    if run.time is not None:
        yield "when", f"{run.time:%Y-%m-%d %H:%M:%S}"
    yield "project", run.record.project
    if run.record.tags:
        yield "tags", ", ".join(run.record.tags)
    if isinstance(said.get("command"), list):
        yield "command", shlex.join(map(str, said["command"]))
    where = [f"{key} {said[key]}" for key in ("host", "git_revision") if said.get(key)]
    environment = said.get("environment")
    if isinstance(environment, dict):
        keys = ("platform", "device_kind", "jaxtrain", "jax")
        where += [f"{key} {environment[key]}" for key in keys if environment.get(key)]
    if where:
        yield "where", ", ".join(where)
    if run.record.rows:
        planned = "" if run.planned is None else f" of {run.planned}"
        epochs = f"{run.epochs}{planned} epochs, " if run.epochs or planned else ""
        yield "so far", f"{epochs}{run.steps:,} steps"
    if run.monitored is not None:
        best = run.monitored
        yield "best", f"{run.monitor} {number(best.best)}, at {best.steps[best.at]:,}"


def _print_curves(run: Facts) -> None:
    from jaxtrain.cli.runs_facts import number

    curves = [(name, run.curve(name)) for name in run.record.names]
    found = [(name, curve) for name, curve in curves if curve is not None]
    lost = [f"{name}, since step {step:,}" for name, step in run.record.lost.items()]
    _print_section("not a finite number", lost)
    if not found:
        return
    metrics = set(run.metrics)
    best = [number(curve.best) if name in metrics else "" for name, curve in found]
    print()
    print_columns(
        [
            Column("curves", [printable(name) for name, _ in found]),
            Column("", [sparkline(curve.values, width=_SPARKS) for _, curve in found], worth=1),
            Column("first", [number(c.values[0]) for _, c in found], worth=2, right=True),
            Column("last", [number(c.last) for _, c in found], worth=5, right=True),
            Column("best", best, worth=4, right=True),
            Column(
                "at",
                [f"{c.steps[c.at]:,}" if name in metrics else "" for name, c in found],
                worth=3,
                right=True,
            ),
        ]
    )


def _tests(run: Facts) -> list[str]:
    from jaxtrain.cli.runs_facts import number

    tests = {k[5:]: v for k, v in run.figures.items() if k.startswith("test_")}
    return [f"{name} {number(value)}" for name, value in tests.items()]


def _media(record: RunRecord) -> list[str]:
    """The last of each, and how many there are."""
    last = {(row["kind"], row["name"]): row for row in record.media}
    counts = Counter((row["kind"], row["name"]) for row in record.media)
    told = []
    for key, row in last.items():
        of = f", the last of {counts[key]}" if counts[key] > 1 else ""
        told.append(f"{' '.join(key)}, at {row['step']:,}{of}: {shown(record.path / row['file'])}")
    return told


def _artifacts(record: RunRecord) -> list[str]:
    return [
        f"{one.name}:{one.version} ({', '.join((one.type, *one.aliases))}): {one.path}"
        for one in record.artifacts
    ]


def _next(run: Facts) -> dict[str, str]:
    """What to type, as far as the run can take it."""
    record = run.record
    path = shlex.quote(str(shown(record.path.absolute())))
    found = {}
    if (record.path / "config.yaml").is_file() and run.state not in ("running", "completed"):
        found["train"] = f"{_PROGRAM} train --config {path}/config.yaml --workdir {path}"
    if (record.path / "checkpoints").is_dir():
        found["evaluate"] = f"{_PROGRAM} evaluate {path}"
    for name in ("learning_curves.png", "report.html"):  # the better one last
        if (record.path / name).is_file():
            found["report"] = f"{path}/{name}"
    return found


def _print_section(title: str, lines: list[str]) -> None:
    if lines:
        print(f"\n{title}")
        for line in lines:
            print(f"  {printable(line)}")


def _more(run: Facts) -> dict[str, Any]:
    record = run.record
    curves = {name: curve for name in record.names if (curve := run.curve(name)) is not None}
    return {
        **{key: record.metadata.get(key) for key in _NOTED},
        "config": record.config,
        "curves": {
            name: {
                "axis": record.axis_of(name),
                "steps": curve.steps,
                "values": curve.values,
                "best": curve.best,
                "best_step": curve.steps[curve.at],
            }
            for name, curve in curves.items()
        },
        "media": [
            {
                **{key: row[key] for key in ("kind", "name", "step")},
                "path": str(record.path / row["file"]),
                "caption": row.get("caption"),
            }
            for row in record.media
        ],
        "artifacts": [
            {
                "name": one.name,
                "type": one.type,
                "version": one.version,
                "aliases": list(one.aliases),
                "path": str(one.path),
                "files": list(one.files),
            }
            for one in record.artifacts
        ],
        "next": _next(run),
    }


COMMAND = Command("everything that is worth knowing of a run", _add_words, _show)
