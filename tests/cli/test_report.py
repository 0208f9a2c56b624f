"""Tests of jaxtrain.cli.report."""

import pytest

from jaxtrain.errors import ConfigError
from tests.report.page.small import epochs, written


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        written(tmp_path / "runs" / "digits" / name, rows=epochs())
    return tmp_path / "runs" / "digits"


def test_the_page_of_a_run(runs, call, capsys):
    assert call("report", "first") == 0
    assert (runs / "first" / "report.html").read_text().startswith("<!doctype html>")
    assert capsys.readouterr().out == "report: runs/digits/first/report.html\n"


def test_the_page_of_several(runs, call, capsys, tmp_path):
    assert call("report", str(runs / "first"), "digits/second") == 0
    assert "2 runs compared" in (tmp_path / "comparison.html").read_text()
    assert call("report", "first", "second", "--out", "sub/x.html") == 0
    assert (tmp_path / "sub" / "x.html").exists()
    assert capsys.readouterr().out == "report: comparison.html\nreport: sub/x.html\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "no run of that name"),
        (["first", "--out", "runs"], "is a directory; expected a file"),
        (["first", "--config.train.epochs=3"], "takes no --config"),
        ([], "RUN"),
        (["first", "first"], "is there twice"),
    ],
)
def test_what_is_wrong_is_said(runs, call, words, says):
    with pytest.raises(ConfigError, match=says):
        call("report", *words)
    assert not list(runs.parent.parent.rglob("*.html"))
