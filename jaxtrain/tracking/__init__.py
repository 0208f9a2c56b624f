"""Tracking: what a run has to tell, on the disk first, in files that anything can read.

    with tracking.run("digits", config={"width": 64}) as run:
        run.log({"loss": 0.4}, step=1)
    RunRecord.read(run.directory).series("loss")

| file | |
|---|---|
| `metadata.json` | who, where, with which versions and config, and how it ended |
| `metrics.jsonl` | a row of numbers a line: of iterations, epochs, or as somebody logged them |
| `media.jsonl`, `media/` | pictures (PNG), histograms and tables (JSON), texts; a line each |
| `artifacts/` | files with a type, aliases and a version, which is their digest |
| `system.jsonl` | what the machine did meanwhile |

A run of the command line is one of these, with its config, checkpoints and report beside them.
"""

from jaxtrain.tracking.artifacts import Artifact, LoggedArtifact
from jaxtrain.tracking.current import (
    current,
    ending,
    finish,
    log,
    log_artifact,
    log_histogram,
    log_image,
    log_table,
    log_text,
    recording,
    run,
    set_mode,
    use_artifact,
)
from jaxtrain.tracking.metadata import write_metadata
from jaxtrain.tracking.record import RunRecord, find_runs, one_run
from jaxtrain.tracking.recorder import Run, Sink
from jaxtrain.tracking.rows import LOG, Place, append_row, is_count, read_rows, rewind
from jaxtrain.tracking.tensorboard import EventFile

__all__ = [
    "LOG",
    "Artifact",
    "EventFile",
    "LoggedArtifact",
    "Place",
    "Run",
    "RunRecord",
    "Sink",
    "append_row",
    "current",
    "ending",
    "find_runs",
    "finish",
    "is_count",
    "log",
    "log_artifact",
    "log_histogram",
    "log_image",
    "log_table",
    "log_text",
    "one_run",
    "read_rows",
    "recording",
    "rewind",
    "run",
    "set_mode",
    "use_artifact",
    "write_metadata",
]
