"""What a finished run shows to people: pictures that no figure depends on.

    draw_matrix(directory, test_figures, rows)
    make_page(directory)                             # report.html, of all that is on the disk

For want of a picture no run fails, and no other error is hidden: what can't be drawn costs a
warning.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.config import ExperimentConfig, diff, to_dict
from jaxtrain.data import Rows
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.report import draw_confusion, write_page
from jaxtrain.run.directory import RunDirectory
from jaxtrain.tracking import RunRecord

logger = logging.getLogger(__name__)

MATRIX = "confusion_matrix"
REPORT = "report.html"


def draw_matrix(directory: RunDirectory, figures: Mapping[str, Any], rows: Rows) -> None:
    """Draw `confusion_matrix.png`, where the figures of the test set have one `[K, K]`."""
    matrix = figures.get(MATRIX)
    if matrix is None or np.ndim(matrix) != 2:  # of several labels a row there are as many
        return
    path = directory / f"{MATRIX}.png"
    names = getattr(rows, "label_names", ())
    with _warning_at_most(path):
        draw_confusion(matrix, path, names=names, title=directory.path.name)


def is_told(directory: RunDirectory, config: ExperimentConfig) -> bool:
    """Whether all is said of a run that is over: a kill may have come just before the end, or its
    tags be others now. Of hooks that were changed since it warns: nothing comes of them any more.
    """
    try:
        record = RunRecord.read(directory.path)
    except (ConfigError, DataError):  # it is written anew
        return False
    now = json.loads(json.dumps(to_dict(config)))
    late = [key for key, _, _ in diff(record.config, now) if key.startswith("hooks.")]
    if late:
        logger.warning(
            "%s: the run is over, and was with others: %s", directory.path, ", ".join(sorted(late))
        )
    ended = record.status == "completed" and (directory / REPORT).exists()
    return ended and record.config == now


def make_page(directory: RunDirectory) -> None:
    """Write `report.html`, when all else of the run is written."""
    path = directory / REPORT
    with _warning_at_most(path):
        write_page(RunRecord.read(directory.path), path)


@contextlib.contextmanager
def _warning_at_most(path: Path) -> Iterator[None]:
    try:
        yield
    # As broad as that on purpose: matplotlib and plotly have no errors of their own; a bad font, a
    # broken matplotlibrc or a full disk end in anything from ImportError to OSError.
    except Exception as error:
        logger.warning("%s was not made: %s: %s", path, type(error).__name__, error)
