"""Runs written by hand, for the tests of the pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain import tracking
from jaxtrain.tracking import Artifact, RunRecord

HOSTILE = "</script><img src=x onerror=alert(1)>"

CONFIG = {
    "project": "digits",
    "optimizer": {"name": "adamw", "learning_rate": 0.002},
    "model": {"hidden": [128, 128]},
    "checkpoint": {"monitor": "val/loss", "mode": "auto"},
}


def epochs(count: int = 4, *, steps: int = 10, scale: float = 1.0) -> list[dict[str, Any]]:
    """An epoch's row and those of single steps; the third epoch is the best."""
    rows = []
    for epoch in range(1, count + 1):
        middle = {"event": "iteration", "epoch": epoch, "iteration": epoch * steps - steps // 2}
        rows.append({**middle, "loss": scale / epoch, "learning_rate": 1e-3 / epoch})
        rows.append(
            {
                "event": "epoch",
                "epoch": epoch,
                "iteration": epoch * steps,
                "train/loss": scale / epoch,
                "val/loss": scale * (0.5 if epoch == 3 else 1.0) / 2,
                "val/accuracy": 0.5 + epoch / 10,
            }
        )
    return rows


SUMMARY = {
    "final_train_loss": 0.25,
    "final_val_loss": 0.5,
    "best_val_loss": 0.25,
    "monitor": "val/loss",
    "best_epoch": 3,
    "total_epochs": 4,
    "total_steps": 40,
    "training_time_seconds": 4021.0,
    "parameters": 26122,
    "test_loss": 0.3769,
    "test_accuracy": 0.9778,
}


def written(
    directory: Path,
    *,
    rows: Iterable[Mapping[str, Any]] = (),
    summary: Mapping[str, Any] | None = None,
    system: Iterable[Mapping[str, Any]] = (),
    config: Mapping[str, Any] = CONFIG,
    **metadata: Any,
) -> RunRecord:
    """A run with these files."""
    directory.mkdir(parents=True, exist_ok=True)
    told = {"status": "completed", "time": "2026-11-29T20:43:20+00:00", "config": config}
    (directory / "metadata.json").write_text(json.dumps({**told, **metadata}))
    for name, lines in (("metrics.jsonl", rows), ("system.jsonl", system)):
        text = "".join(json.dumps(row) + "\n" for row in lines)
        if text:
            (directory / name).write_text(text)
    if summary is not None:
        (directory / "metrics.json").write_text(json.dumps(summary))
    return RunRecord.read(directory)


def logged(root: Path, name: str = "first", *, steps: Iterable[int] = (10, 20, 30)) -> RunRecord:
    """A run of a script, with media of all kinds, whose every text is hostile."""
    config = {"lr": 1e-3, HOSTILE: {"deep": HOSTILE}}
    with tracking.run("demo", name, config, [HOSTILE], root=root) as run:
        for step in steps:
            run.log({"loss": 1 / step, f"a<b>{HOSTILE}": float(step)}, step=step)
            run.log_image("digit", np.full((8, 8), step, np.uint8), step, caption=HOSTILE)
            run.log_histogram("weights", np.linspace(-1, step, 50), step)
            run.log_text("said", f"{step} {HOSTILE}", step)
            run.log_table("words", [{HOSTILE: HOSTILE, "n": step}], step)
        run.log_image("mistakes/01", np.eye(8, dtype=np.uint8), step, caption="3, taken for 8")
        run.log_table("mistakes/table", [{"row": 1, "loss": 2.5}], step)
        (root / "file").write_text("weights")
        artifact = Artifact("classifier", "model", HOSTILE).add_file(root / "file", "w.bin")
        run.log_artifact(artifact, aliases=["best"])
    return RunRecord.read(run.directory)
