"""What a person reads: a run before it begins and when it is over, findings, checkpoints, errors.

print(introduction(experiment))
print(outcome(figures, directory))
print(error_line(error), file=sys.stderr)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    JaxtrainError,
    NonFiniteError,
    PeerError,
    Preempted,
)

if TYPE_CHECKING:
    from jaxtrain.checkpoint import Found
    from jaxtrain.data import Finding
    from jaxtrain.run import Experiment

_HEADINGS: tuple[tuple[type[JaxtrainError], str], ...] = (
    (Preempted, "interrupted"),
    (ConfigError, "config error"),
    (DataError, "data error"),
    (NonFiniteError, "not finite"),
    (CheckpointError, "checkpoint error"),
    (PeerError, "another process"),
)
_WIDEST = 40


def introduction(experiment: Experiment) -> str:
    """Where the run is, its data and model, and what is not at its default."""
    from jaxtrain.config import non_defaults

    task = experiment.task
    rows = ", ".join(f"{len(split):,} {name}" for name, split in task.data.sets.items())
    lines = [
        f"run: {shown(experiment.directory.path)}",
        f"data: {task.data.train.name}, {rows} rows",
        f"model: {task.config.model.name}, {task.parameter_count():,} parameters",
    ]
    import jax

    unused = jax.local_device_count() - 1
    if task.layout is None and unused:
        lines.append(
            f"devices: 1 of {unused + 1}, since the config has no mesh; mesh.data=-1 takes all"
        )
    changed = [f"{key}={_short(value)}" for key, _, value in non_defaults(task.config)]
    if changed:
        lines.append("differs from the defaults: " + ", ".join(changed))
    return "\n".join(lines)


def shown(path: Path) -> Path:
    """`path` from the working directory where it lies below it: shorter, and to be typed again."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def outcome(figures: Mapping[str, Any], directory: Path) -> str:
    """The test figures, and where to look for more."""
    from jaxtrain.hooks.console import figure

    test = ", ".join(
        f"{name[5:]} {'not finite' if value is None else figure(value)}"
        for name, value in figures.items()
        if name.startswith("test_") and not isinstance(value, list)  # a matrix fills no line
    )
    where = shown(directory)
    return (
        f"test: {test} (epoch {figures['checkpoint_epoch']}, best by {figures['monitor']})\n"
        f"report: {where / 'report.html'}, {where / 'metrics.json'}"
    )


def finding_line(finding: Finding) -> str:
    """One finding of a check."""
    return f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}"


def checkpoint_line(found: Found, uses: list[str]) -> str:
    """One checkpoint: name, what it says of itself, and what becomes of it."""
    said = "" if found.saved is None else f"iteration {found.saved.iteration}"
    if found.saved is not None and isinstance(found.saved.meta.get("metrics"), dict):
        figures = {name: found.saved.value(name) for name in found.saved.meta["metrics"]}
        told = {printable(name): value for name, value in figures.items()}
        said += "".join(f", {n} {v:.4f}" for n, v in told.items() if v is not None)
    verdict = f"good{': ' if uses else ''}{', '.join(uses)}" if not found.fault else found.fault
    return f"{found.path.name:14} {said:40}  {verdict}"


def printable(text: str) -> str:
    """A name from a file, which may be anything, escape sequences for a terminal included.

    >>> printable("val/loss"), printable("\x1b[2J")
    ('val/loss', "'\\\\x1b[2J'")
    """
    return text if text.isprintable() else ascii(text)


def error_line(error: JaxtrainError) -> str:
    """What kind of error it is, what it says, and what to type next where that is known."""
    kinds = (heading for kind, heading in _HEADINGS if isinstance(error, kind))
    line = f"{next(kinds, 'error')}: {error}"
    if isinstance(error, Preempted | PeerError):
        line += "\nrun the same command again to go on"
    return line


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
