"""Tests of jaxtrain.report.page.sweep."""

import math

import plotly.graph_objects
import pytest

from jaxtrain.report.page.comparison import differences
from jaxtrain.report.page.content import Content
from jaxtrain.report.page.sweep import add_sweep, objective, parallel, scatter
from tests.report.page.small import epochs, written

RATES = [1e-4, 1e-3, 1e-2, 1e-1]
FINAL = [0.9, 0.3, 0.5, 2.0]


def runs(root, *, rates=RATES, **more):
    return [
        written(
            root / f"{number}", config={"lr": rate, "width": 64, "name": f"n{number}", **more},
            rows=[{"event": "log", "iteration": 0, "step": 1, "val/loss": loss, "x": 1.0}],
        )
        for number, (rate, loss) in enumerate(zip(rates, FINAL, strict=False))
    ]  # fmt: skip


def added(records):
    content = Content("a")
    labels = [record.id for record in records]
    add_sweep(content, records, labels, differences(records))
    return content


def test_a_line_a_run_and_a_panel_a_number(tmp_path):
    content = added(runs(tmp_path))
    assert list(content.figures) == ["sweep", "sweep:lr"]
    (lines,) = content.figures["sweep"]["data"]
    lr, loss = lines["dimensions"]
    assert lr["values"] == [math.log10(rate) for rate in RATES]
    assert lr["tickvals"] == [-4, -3, -2, -1]
    assert lr["ticktext"] == ["0.0001", "0.001", "0.01", "0.1"]
    assert loss["values"] == lines["line"]["color"] == FINAL
    assert lines["line"]["reversescale"]  # the smaller, the better, the bluer
    best, dots = content.figures["sweep:lr"]["data"]
    assert (best["x"], best["y"]) == ([1e-3], [0.3])
    assert (dots["x"], dots["y"]) == (RATES, FINAL)
    assert dots["text"][1] == "1<br>lr: 0.001<br>val/loss: 0.3"
    assert content.figures["sweep:lr"]["layout"]["xaxis"]["type"] == "log"
    for figure in content.figures.values():
        told = str(figure).replace("var(--", "#").replace(")", "")
        assert "#" in told
        plotly.graph_objects.Figure(layout={"height": figure["layout"].get("height")})


def test_three_runs_are_no_sweep_nor_are_equal_ones(tmp_path):
    assert added(runs(tmp_path / "a", rates=RATES[:3])).sections == []
    assert added(runs(tmp_path / "b", rates=[1e-3] * 4)).sections == []
    texts = [written(tmp_path / "c" / str(n), config={"x": str(n)}) for n in range(4)]
    assert added(texts).sections == []


def test_a_number_that_one_run_lacks_is_no_axis(tmp_path):
    records = runs(tmp_path)
    records[0] = written(tmp_path / "other", config={"width": 1}, rows=records[0].rows)
    content = added(records)
    assert list(content.figures) == ["sweep", "sweep:width"]


def test_what_counts_is_what_was_monitored(tmp_path):
    records = [
        written(tmp_path / str(n), rows=epochs(scale=float(n)), config={"lr": n}) for n in (1, 2)
    ]
    other = written(tmp_path / "x", rows=[], config={})
    assert objective([other, *records]) == ("val/loss", [None, 0.25, 0.5])
    assert objective([other]) == ("", [None])


def test_a_script_is_told_by_what_all_have_logged(tmp_path):
    rows = [{"event": "log", "iteration": 0, "step": 1, "lr": 1.0, "loss": 0.5}]
    records = [written(tmp_path / n, rows=rows, config={}) for n in "ab"]
    assert objective(records) == ("loss", [0.5, 0.5])


@pytest.mark.parametrize(("name", "reversed_"), [("val/accuracy", False), ("val/loss", True)])
def test_the_better_the_bluer(name, reversed_):
    figure = parallel({"a": [1.0, 2.0]}, name, [0.1, 0.2])
    assert figure["data"][0]["line"]["reversescale"] is reversed_
    best = scatter("a", [1.0, 2.0], name, [0.1, 0.2], ["x", "y"])["data"][0]
    assert best["x"] == [1.0 if reversed_ else 2.0]
    assert figure["data"][0]["dimensions"][0]["values"] == [1.0, 2.0]
