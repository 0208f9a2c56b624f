"""Tests of jaxtrain.report.page.sweep_page."""

from __future__ import annotations

import math

import pytest

from jaxtrain.report.page.sweep_page import sweep_content, write_sweep_page


def row(member, value, status="finished", best_epoch=2, **values):
    return {
        "member": member, "value": value, "status": status, "best_epoch": best_epoch,
        "epochs": 3, "values": values,
    }  # fmt: skip


ROWS = [
    row(0, 0.5, lr=1e-4, drop=0.1, hidden=[64], same=1),
    row(1, 0.25, lr=1e-2, drop=0.2, hidden=[8, 8], same=1),
    row(2, None, "failed", None, lr=1e-1, drop=0.3, hidden=[64], same=1),
]
HISTORY = [
    {"epoch": 1, "members": [1, 0], "val/f": [0.3, 0.9]},
    {"epoch": 2, "members": [1, 0], "val/f": [0.7, 0.5]},
    {"epoch": 2, "members": [1, 0], "val/f": [0.25, None]},
    {"epoch": 1, "members": [2], "val/f": [None]},
]
LOW = list(enumerate([0.002, 0.004, 0.0099, 0.012]))
SHARES = {"lr": 0.75, "drop": 0.25}


def content(mode="min", rows=ROWS, history=HISTORY, shares=SHARES):
    return sweep_content(rows, history, "val/f", mode, "a: <1>", "my sweep", shares)


def test_headline_and_sections():
    found = content()
    assert "3 members; the best is member 1, val/f 0.25" in found.heading
    assert "the best is member 0" in content("max").heading
    keys = ["sweep", "importance", "curves", "members", "config"]
    assert [section.key for section in found.sections] == keys
    assert "a: &lt;1&gt;" in found.sections[-1].html


def test_the_keys_that_vary_and_only_numbers_have_a_panel():
    figures = content().figures
    assert [key for key in figures if key.startswith("sweep")] == [
        "sweep",
        "sweep:lr",
        "sweep:drop",
    ]
    lines = figures["sweep"]["data"][0]
    lr, drop, hidden, monitor = lines["dimensions"]
    assert (drop["values"], monitor["values"]) == ([0.2, 0.1], [0.25, 0.5])
    assert (hidden["values"], hidden["ticktext"]) == ([0.0, 1.0], ["[8, 8]", "[64]"])
    assert hidden["tickvals"] == [0, 1]
    assert lr["ticktext"] == ["0.0001", "0.001", "0.01"]
    assert lines["line"]["reversescale"]
    assert figures["sweep:lr"]["layout"]["xaxis"]["type"] == "log"
    assert "type" not in figures["sweep:drop"]["layout"]["xaxis"]


def test_what_was_drawn_by_logarithms_is_shown_by_them_however_short_the_range():
    rows = [{**ROWS[0], "member": n, "value": 0.5 + n, "values": {"lr": lr}} for n, lr in LOW]
    arguments = ([], "val/f", "min", "a: 1", "my sweep")
    plain = sweep_content(rows, *arguments).figures
    assert "tickvals" not in plain["sweep"]["data"][0]["dimensions"][0]
    assert "type" not in plain["sweep:lr"]["layout"]["xaxis"]
    figures = sweep_content(rows, *arguments, logarithmic=["lr"]).figures
    axis, _ = figures["sweep"]["data"][0]["dimensions"]
    assert axis["values"] == [math.log10(lr) for _, lr in LOW]
    assert axis["ticktext"] == ["0.002", "0.005", "0.01"]
    assert axis["tickvals"] == pytest.approx([math.log10(lr) for lr in (0.002, 0.005, 0.01)])
    assert figures["sweep:lr"]["layout"]["xaxis"]["type"] == "log"
    assert "dtick" not in figures["sweep:lr"]["layout"]["xaxis"]


def test_where_no_round_number_lies_between_the_ends_are_the_ticks():
    values = [0.0021, 0.003, 0.0049]
    rows = [{**ROWS[0], "member": n, "values": {"lr": lr}} for n, lr in enumerate(values)]
    figures = sweep_content(rows, [], "val/f", "min", "a: 1", "s", logarithmic=["lr"]).figures
    axis, _ = figures["sweep"]["data"][0]["dimensions"]
    assert axis["ticktext"] == ["0.0021", "0.0049"]


def test_numbers_of_a_choice_are_the_ticks():
    sizes = [16, 24, 16]
    rows = [{**ROWS[0], "member": n, "values": {"b": size}} for n, size in enumerate(sizes)]
    figures = sweep_content(rows, [], "val/f", "min", "a: 1", "my sweep").figures
    axis, _ = figures["sweep"]["data"][0]["dimensions"]
    assert (axis["tickvals"], axis["ticktext"]) == ([16.0, 24.0], ["16", "24"])
    assert axis["values"] == [16.0, 24.0, 16.0]


def test_the_mode_has_the_last_word():
    figures = content("max").figures
    assert not figures["sweep"]["data"][0]["line"]["reversescale"]
    assert figures["sweep:lr"]["data"][0]["x"] == [1e-4]
    assert content().figures["sweep:lr"]["data"][0]["x"] == [1e-2]


def test_the_most_important_is_on_top():
    (bars,) = content().figures["importance"]["data"]
    assert (bars["y"], bars["x"]) == (["drop", "lr"], [0.25, 0.75])
    assert "importance" not in content(shares=None).figures


def test_a_curve_a_member_the_last_of_an_epoch_done_twice():
    curves = content().figures["curve:epoch:val/f"]["curves"]
    assert [(c["label"], c["x"], c["y"]) for c in curves] == [
        ("member 0", [1, 2], [0.9, None]),
        ("member 1", [1, 2], [0.3, 0.25]),
        ("member 2", [1], [None]),
    ]


def test_members_are_listed_the_best_first():
    html = next(s.html for s in content().sections if s.key == "members")
    assert html.index("[8, 8]") < html.index("0.0001") < html.index("failed")
    assert "none" in html


def test_a_sweep_that_has_only_begun(tmp_path):
    found = content(rows=[], history=[], shares=None)
    assert "0 members" in found.heading
    path = write_sweep_page(
        tmp_path / "report.html", ROWS, HISTORY, "val/f", "min", "a", "my sweep"
    )
    assert "my sweep" in path.read_text(encoding="utf-8")
