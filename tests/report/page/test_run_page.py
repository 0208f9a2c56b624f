"""Tests of jaxtrain.report.page.run_page."""

import json
import re

import plotly.graph_objects
import pytest

from jaxtrain.report import write_page
from jaxtrain.report.page import PAGE_BYTES, run_page
from jaxtrain.report.page.run_page import content_of
from jaxtrain.retention import RetentionReport
from jaxtrain.tracking import RunRecord
from tests.report.page.small import SUMMARY, epochs, logged, written
from tests.retention.small import matrix


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A run that has something for each section."""
    record = logged(tmp_path_factory.mktemp("runs"))
    directory = record.path
    summary = {**SUMMARY, "test_confusion_matrix": [[8, 2], [1, 9]]}
    (directory / "metrics.json").write_text(json.dumps(summary))
    with (directory / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in epochs())
    (directory / "system.jsonl").write_text('{"seconds": 1, "cpu_percent": 50}\n')
    report = RetentionReport.of(matrix(), resamples=100)
    (directory / "retention.json").write_text(json.dumps(report.to_json()))
    return RunRecord.read(directory)


def test_all_sections_in_their_order(everything):
    content = content_of(everything)
    assert [section.key for section in content.sections] == [
        "curves", "metrics", "confusion", "mistakes", "retention", "media", "system", "config",
        "artifacts", "environment",
    ]  # fmt: skip
    assert content.notes == []


def test_what_is_not_there_has_no_section(tmp_path):
    content = content_of(written(tmp_path, config={}))
    assert [section.key for section in content.sections] == ["environment"]


def test_each_figure_has_a_place_and_is_what_plotly_knows(everything):
    content = content_of(everything)
    html = "".join(section.html for section in content.sections)
    places = set(re.findall(r'data-(?:figure|plot)="([^"]*)"', html.replace("&gt;", ">")
                            .replace("&lt;", "<")))  # fmt: skip
    assert places == set(content.figures)
    kinds = [figure["kind"] for figure in content.figures.values()]
    assert set(kinds) == {"curves", "plain"}
    for figure in content.figures.values():
        if figure["kind"] == "plain":  # plotly refuses a name that it does not know, or a value
            told = json.loads(re.sub(r"var\(--\w+\)", "#123456", json.dumps(figure)))
            plotly.graph_objects.Figure(data=told["data"], layout=told["layout"])


def test_the_page_is_in_the_runs_directory_or_where_one_wants_it(everything, tmp_path):
    assert write_page(everything) == everything.path / "report.html"
    other = write_page(everything, tmp_path / "new" / "page.html")
    assert other.read_bytes() == (everything.path / "report.html").read_bytes()
    assert len(other.read_bytes()) < 2.5 * 2**20


def test_no_page_is_larger_than_it_says(everything, tmp_path, monkeypatch):
    size = write_page(everything, tmp_path / "whole.html").stat().st_size
    figures = len(json.dumps(content_of(everything).to_json()["figures"]))
    monkeypatch.setattr(run_page, "PAGE_BYTES", run_page.PLOTLY_BYTES + figures)
    record = RunRecord.read(everything.path)
    small = write_page(record, tmp_path / "small.html").stat().st_size
    assert small < size
    assert small < run_page.PAGE_BYTES
    assert "media are not in this page" in (tmp_path / "small.html").read_text()
    assert PAGE_BYTES == 16 * 2**20
    monkeypatch.setattr(run_page, "PAGE_BYTES", 0)
    assert content_of(record).media == {}


def test_what_an_editor_has_spoilt_is_no_obstacle(tmp_path):
    rows = [
        {"event": "epoch", "epoch": 1, "iteration": 10, "val/loss": 0.5, "train/loss": 0.1},
        {"event": "epoch", "epoch": "x", "iteration": None, "val/loss": []},
        {"event": 3, "iteration": True, "step": "x"},
        {"event": "epoch", "epoch": 2, "iteration": 20, "val/loss": 10**400},
    ]
    record = written(
        tmp_path, rows=rows, tags="x", changed="optimizer", label_names=3, command="x",
        environment=[], status=None, time=3, config={"a": [None, {"b": True}], "checkpoint": 1},
        summary={"monitor": ["x"], "test_loss": {}, "training_time_seconds": "x"},
        system=[{"seconds": "x", "a": 1}, {"a": [1]}],
    )  # fmt: skip
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epoch": 3, "iteration": 30, "val/loss": 1e999}\n{"torn')
    content = content_of(record)
    write_page(record)
    assert content.figures["curve:step:loss"]["curves"][1]["y"] == [0.5, None, None]
    assert content.figures["curve:step:loss"]["point"][0] == 10
