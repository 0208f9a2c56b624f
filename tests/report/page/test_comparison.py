"""Tests of jaxtrain.report.page.comparison."""

import copy

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.report import write_comparison
from jaxtrain.report.page.comparison import (
    best_of,
    colour_of,
    comparison_of,
    differences,
    labels_of,
    panels_of_runs,
)
from tests.report.page.small import CONFIG, HOSTILE, SUMMARY, epochs, written


def made(path, rate, *, scale=1.0, loss=0.3769, **more):
    config = copy.deepcopy(CONFIG)
    config["optimizer"]["learning_rate"] = rate
    summary = {**SUMMARY, "test_loss": loss}
    return written(path, rows=epochs(scale=scale), summary=summary, config=config, **more)


@pytest.fixture
def two(tmp_path):
    return [
        made(tmp_path / "p" / "first", 1e-3),
        made(tmp_path / "p" / "second", 1e-2, scale=2.0, loss=0.2, status=f"failed: {HOSTILE}"),
    ]


def test_the_best_figures_are_marked(two):
    html = comparison_of(two).sections[0].html
    first, second = html.split("<tbody>")[1].split("</tr>")[:2]
    assert '<td class="number">0.3769</td>' in first
    assert '<td class="number best">0.2<span class="unseen">, the best</span></td>' in second
    assert html.count('class="number best"') == 1  # all others are equal, or have no direction
    assert "1 h 7 min" in first
    assert '<span class="badge failed">failed</span>' in second
    assert HOSTILE not in html
    assert html.index("test loss") < html.index("final train loss") < html.index("parameters")


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("test_accuracy", [0.9, 0.8, 0.9], {0, 2}),
        ("val/loss", [0.9, 0.8, None], {1}),
        ("learning_rate", [0.9, 0.8], set()),
        ("test_loss", [0.9, None], set()),
        ("best_val_rmse", [3.0, 2.0], {1}),
    ],
)
def test_the_best_by_its_name(name, values, best):
    assert best_of(name, values) == best


def test_a_run_has_one_colour_everywhere(two):
    panels = panels_of_runs(two, ["first", "second"])
    assert [panel.title for panel in panels] == [
        "val/loss", "val/accuracy", "train/loss", "loss", "learning_rate",
    ]  # fmt: skip
    for panel in panels:
        assert [(one.label, one.run, one.colour) for one in panel.curves] == [
            ("first", 0, "var(--c0)"), ("second", 1, "var(--c1)"),
        ]  # fmt: skip
    assert panels[2].curves[1].series.ys == [2.0, 1.0, 2 / 3, 0.5]
    assert len({colour_of(number) for number in range(28)}) == 28


def test_only_keys_that_differ(two, tmp_path):
    found = differences(two)
    assert found == {"optimizer.learning_rate": [1e-3, 1e-2]}
    html = comparison_of(two).sections[-1].html
    assert "optimizer.learning_rate" in html
    assert "optimizer.name" not in html
    bare = written(tmp_path / "bare", config={**CONFIG, "workdir": "here", "seed": None})
    other = differences([two[0], bare])
    assert "workdir" not in other
    assert [str(value) for value in other["seed"]] == ["(not set)", "None"]
    same = comparison_of([two[0], made(tmp_path / "q" / "third", 1e-3)])
    assert "do not differ" in same.sections[-1].html


def test_true_is_not_one(tmp_path):
    runs = [written(tmp_path / str(n), config={"x": value}) for n, value in enumerate((True, 1))]
    assert differences(runs) == {"x": [True, 1]}


def test_runs_are_told_apart_by_what_is_needed(tmp_path):
    same = [written(tmp_path / p / "a", config={"project": p}) for p in ("p", "q")]
    other = written(tmp_path / "p" / "b", config={})
    assert labels_of([*same, other]) == ["p/a", "q/a", "b"]
    twins = [written(tmp_path / n / "x" / "a", config={}) for n in "12"]
    assert labels_of(twins) == [str(record.path) for record in twins]


def test_runs_without_a_report_are_compared_by_what_they_logged(tmp_path):
    rows = [{"event": "log", "iteration": 0, "step": 1, "lr": 1e-3, "loss": 0.5}]
    runs = [written(tmp_path / n, rows=rows, config={}) for n in "ab"]
    html = comparison_of(runs).sections[0].html
    assert html.index("loss") < html.index("lr ") if "lr " in html else "lr" in html


def test_one_run_is_none_to_compare(two, tmp_path):
    with pytest.raises(ConfigError, match="expected two runs or more, found 1"):
        write_comparison(two[:1], tmp_path / "x.html")
    with pytest.raises(ConfigError, match="first is there twice"):
        write_comparison([two[0], two[0]], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_the_page_is_written(two, tmp_path):
    path = write_comparison(two, tmp_path / "x.html")
    page = path.read_text()
    assert "2 runs compared" in page
    assert HOSTILE not in page
    assert 'data-run="1"' in page
