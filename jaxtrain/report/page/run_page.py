"""A run's page: all sections that there is something for, in the order in which one looks.

content_of(record)                        # a JSON value, by `to_json`
write_page(record)                        # report.html in the directory of the run
write_page(record, "elsewhere.html")
"""

from __future__ import annotations

import os
from pathlib import Path

from jaxtrain.files.atomic import replacing
from jaxtrain.report.page.about import (
    add_artifacts,
    add_config,
    add_environment,
    add_metrics,
    heading,
)
from jaxtrain.report.page.confusion import add_confusion
from jaxtrain.report.page.content import Content
from jaxtrain.report.page.document import PLOTLY_BYTES, document
from jaxtrain.report.page.machine import add_machine
from jaxtrain.report.page.markup import as_json
from jaxtrain.report.page.panels import add_curves
from jaxtrain.report.page.retained import add_retention
from jaxtrain.report.page.shown import Budget, add_media
from jaxtrain.tracking import RunRecord

FILE_NAME = "report.html"

PAGE_BYTES = 16 * 2**20
"""No page is larger: media that would make it so are left out, and named."""

_ORDER = (
    "curves", "metrics", "confusion", "mistakes", "retention", "media", "system", "config",
    "artifacts", "environment",
)  # fmt: skip


def write_page(record: RunRecord, path: str | os.PathLike[str] | None = None) -> Path:
    """Write a run's page: one file that needs no network, made of the record and nothing else.

    Args:
        record: the run; one that goes on as it stands.
        path: of the HTML file; by default `report.html` in the directory of the run. It is replaced
            whole or not at all.

    Returns:
        Where it was written.

    Raises:
        OSError: it can't be written.
    """
    path = record.path / FILE_NAME if path is None else Path(path)
    page = document(content_of(record))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def content_of(record: RunRecord, *, linked: bool = False) -> Content:
    """What the page of a run consists of.

    Args:
        record: the run.
        linked: whether pictures are addresses of the run's files, as `watch` serves them.
    """
    content = Content(f"{record.project}/{record.id}", record.status)
    content.heading = heading(record)
    for add in (
        add_curves, add_metrics, add_confusion, add_retention, add_machine, add_config,
        add_artifacts, add_environment,
    ):  # fmt: skip
        add(content, record)
    room = PAGE_BYTES - PLOTLY_BYTES - len(as_json(content.to_json()))
    add_media(content, record, Budget(max(room, 0)), linked=linked)
    content.sections.sort(key=lambda section: _ORDER.index(section.key))
    return content
