"""Runs that nobody has trained: their directories, as `tracking.run` and a trainer leave them.

run = epochs_run(root, "seed0-1a", {"val/loss": [0.5, 0.3]}, config={"seed": 0})
note(run, status="failed: OSError: full")
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrain import tracking


def epochs_run(
    root: Path,
    name: str,
    curves: Mapping[str, Sequence[float | None]],
    *,
    project: str = "birds",
    day: int = 1,
    **options: Any,
) -> Path:
    """A run with a row an epoch, of ten steps each, that ended on a day of a month."""
    with tracking.run(project, name, root=root, **options) as run:
        for at, values in enumerate(zip(*curves.values(), strict=True), 1):
            row = {"event": "epoch", "epoch": at, "iteration": 10 * at}
            tracking.append_row(
                run.directory / "metrics.jsonl", {**row, **dict(zip(curves, values, strict=True))}
            )
    note(run.directory, time=f"2026-07-{day:02d}T10:00:00+00:00")
    return run.directory


def note(run: Path, *without: str, **values: Any) -> None:
    """Change metadata.json, as another version or another end would have it."""
    file = run / "metadata.json"
    metadata = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({k: v for k, v in metadata.items() if k not in without}))
