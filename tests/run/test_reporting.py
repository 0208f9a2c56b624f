"""Pictures at the end of a run, and what becomes of those that can't be made."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from jaxtrain.data import Dataset
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.reporting import draw_matrix, make_page
from jaxtrain.tracking import write_metadata

ROWS = Dataset(np.zeros((4, 2), np.float32), np.zeros(4, np.int32), num_outputs=2)


def test_a_matrix_becomes_a_picture(tmp_path):
    draw_matrix(RunDirectory(tmp_path), {"confusion_matrix": np.eye(2)}, ROWS)
    assert (tmp_path / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("figures", [{}, {"confusion_matrix": np.ones((3, 2, 2))}])
def test_where_there_is_none_there_is_no_picture(tmp_path, figures, caplog):
    draw_matrix(RunDirectory(tmp_path), figures, ROWS)
    assert list(tmp_path.iterdir()) == []
    assert not caplog.records


def test_what_can_not_be_drawn_costs_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        draw_matrix(RunDirectory(tmp_path), {"confusion_matrix": np.full((2, 2), np.nan)}, ROWS)
    assert "confusion_matrix.png was not made: DataError: a confusion matrix" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_the_run(tmp_path, caplog):
    write_metadata(tmp_path, "completed", project="p", config={})
    make_page(RunDirectory(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "completed" in page
    assert not caplog.records


def test_a_page_that_can_not_be_made_costs_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        make_page(RunDirectory(tmp_path))
    assert "report.html was not made: ConfigError" in caplog.text
