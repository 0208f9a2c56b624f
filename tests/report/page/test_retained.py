"""Tests of jaxtrain.report.page.retained."""

import json

import pytest

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.retained import add_retention, matrix_figure, retention_file
from jaxtrain.retention import RetentionReport
from tests.report.page.small import written
from tests.retention.small import matrix


@pytest.fixture(scope="module")
def report():
    return RetentionReport.of(matrix(), resamples=100)


def test_the_file_is_the_runs_or_that_of_its_phases(tmp_path):
    assert retention_file(tmp_path / "phases" / "1-a") is None
    file = tmp_path / "retention.json"
    file.write_text("{}")
    for run in ("", "phases/1-a", "base"):
        assert retention_file(tmp_path / run) == file
    assert retention_file(tmp_path / "phases" / "1-a" / "deeper") is None
    assert retention_file(tmp_path / "other" / "1-a") is None


def test_the_matrix(report):
    figure = matrix_figure(report)
    (heat,) = figure["data"]
    assert heat["z"][0] == [0.25, 0.5, 0.0, 0.75]
    assert heat["z"][1][0] == 1.0
    assert (heat["zmin"], heat["zmax"]) == (0, 1)
    assert heat["text"][0][0].startswith("<b>25.0 %</b><br>")
    assert heat["text"][3][0].endswith("<br>1.52 nats")
    ticks = figure["layout"]["yaxis"]["ticktext"]
    assert ticks == ["base model", "after first", "after second", "after third"]
    assert figure["layout"]["xaxis"]["ticktext"][3] == "text<br>(untrained)"
    # the cell of a task after its own phase: column j, row j + 1
    for j, frame in enumerate(figure["layout"]["shapes"]):
        assert j - 0.5 < frame["x0"] < j < frame["x1"] < j + 0.5
        assert j + 0.5 < frame["y0"] < j + 1 < frame["y1"] < j + 1.5


def test_the_section_has_figures_and_verdicts(tmp_path, report):
    (tmp_path / "retention.json").write_text(json.dumps(report.to_json()))
    content = Content("a")
    add_retention(content, written(tmp_path / "phases" / "2-second"))
    (section,) = content.sections
    assert "retention" in content.figures
    assert f"<td>{'backward transfer (BWT)'}</td>" in section.html
    assert report.backward_transfer.text(scale=100, sign=True) in section.html
    for name, verdict in report.verdicts().items():
        assert f"<tr><td>{name}</td>" in section.html
        assert f"<td>{verdict}</td>" in section.html
    assert all(note.split(":")[0] in section.html for note in report.notes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', "[" * 10**5])
def test_a_broken_file_is_noted(tmp_path, text):
    (tmp_path / "retention.json").write_text(text)
    content = Content("a")
    add_retention(content, written(tmp_path))
    assert content.sections == []
    assert content.notes[0].startswith("retention.json can't be read: ")


def test_without_phases_there_is_no_section(tmp_path):
    content = Content("a")
    add_retention(content, written(tmp_path / "runs" / "a"))
    assert (content.sections, content.notes) == ([], [])
