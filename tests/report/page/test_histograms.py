"""Tests of jaxtrain.report.page.histograms."""

import pytest

from jaxtrain.report.page.histograms import histogram_figure, over_steps

FOUND = {"edges": [0.0, 1.0, 2.0, 3.0], "counts": [3, 0, 1], "nonfinite": 2,
         "min": 0.1, "max": 2.5, "mean": 0.75, "std": 0.5}  # fmt: skip


def test_bars_stand_in_the_middle_of_their_bins():
    figure, said = histogram_figure(FOUND)
    (bars,) = figure["data"]
    assert (bars["x"], bars["y"], bars["width"]) == ([0.5, 1.5, 2.5], [3, 0, 1], [1.0, 1.0, 1.0])
    assert said == "mean 0.75; standard deviation 0.5; from 0.1; to 2.5; not finite: 2"
    assert figure["note"] == said


@pytest.mark.parametrize(
    "found",
    [{}, {"edges": [0, 1], "counts": [1, 2]}, {"edges": [0, None], "counts": [1]},
     {"edges": ["a", 1], "counts": [1]}, {"edges": 3, "counts": 1}, [], None],
)  # fmt: skip
def test_what_is_none_is_an_error(found):
    with pytest.raises((ValueError, KeyError, TypeError)):
        histogram_figure(found)


def test_over_steps_shares_are_kept():
    wide = {"edges": [-1.0, 5.0], "counts": [10]}
    figure = over_steps([{"step": 10, "counts": FOUND}, {"step": 20, "counts": wide}])
    (heat,) = figure["data"]
    assert heat["x"] == ["10", "20"]
    assert len(heat["z"]) == len(heat["y"]) == 48
    for column in range(2):
        assert sum(row[column] for row in heat["z"]) == pytest.approx(1, abs=1e-3)
    assert (heat["y"][0], heat["y"][-1]) == (pytest.approx(-1 + 6 / 96), pytest.approx(5 - 6 / 96))
    inside = sum(z[0] for y, z in zip(heat["y"], heat["z"], strict=True) if 0 < y < 1)
    assert inside == pytest.approx(0.75, abs=1e-3)
    assert heat["z"][0][0] == 0
    assert heat["z"][0][1] == pytest.approx(1 / 48, rel=1e-3)


def test_one_value_alone_has_a_row():
    one = {"edges": [2.0, 2.0], "counts": [4]}
    figure = over_steps([{"step": 0, "counts": one}, {"step": 1, "counts": one}])
    assert sum(row[0] for row in figure["data"][0]["z"]) == 1
