"""Tests of jaxtrain.retention.table."""

import builtins
import re

import pytest

from jaxtrain.retention import Baseline, RetentionMatrix, RetentionReport
from jaxtrain.retention.table import lines
from tests.retention.small import matrix, questions


def report(built=None, **options):
    return RetentionReport.of(built or matrix(), resamples=100, **options)


def row(text, label):
    """The first line that begins so, its cells apart."""
    line = next(line for line in text.splitlines() if line.startswith(label))
    return re.split(r"\s{2,}", line)


def test_all_of_it_is_there(capsys):
    rows = matrix().rows[3]
    baselines = {"a": Baseline(majority=0.4, random=0.25)}
    found = report(baselines=baselines, merged=rows, joint=rows, control="text")
    found.print(0.02)
    said = capsys.readouterr().out
    assert said == found.text(0.02) + "\n"
    assert row(said, "score, %") == ["score, %", "a", "b", "c", "text"]
    cells = row(said, "after second")
    assert [cell.split()[0] for cell in cells[1:]] == ["50.0", "*75.0", "50.0", "50.0"]
    assert row(said, "base model")[4].startswith("75.0 [")
    assert row(said, "baseline: majority") == ["baseline: majority", "40.0", "-", "-", "-"]
    assert row(said, "baseline: random") == ["baseline: random", "25.0", "-", "-", "-"]
    assert row(said, "merged, reloaded")[1].startswith("25.0 [")
    assert row(said, "all tasks at once")[1].startswith("25.0 [")
    assert row(said, "examples") == ["examples", "4", "4", "4", "4"]
    losses = said[said.index("loss, nats") :]
    assert row(losses, "after first")[1].startswith("*2.515 [")
    assert row(losses, "all tasks at once")[4].startswith("1.515 [")
    assert re.search(r"^ACC +58\.3 \[.*\] % +average", said, re.M)
    assert re.search(r"^BWT +-50\.0 \[.*\] points +backward", said, re.M)
    assert re.search(r"^F +\+50\.0 \[.*\] points", said, re.M)
    assert re.search(r"^FWT +\+12\.5 \[.*\] points .*against the base model", said, re.M)
    assert re.search(r"^GEN +-25\.0 \[.*\] points", said, re.M)
    assert re.search(r"^PEFT +-1\.500 \[.*\] nats", said, re.M)
    assert re.search(r"^JOINT +58\.3 \[.*\] % ", said, re.M)
    assert "scores differ by at most 0 points, losses by at most 0 nats" in said
    assert "forgotten, more than 2 points?" in said
    assert row(said, "a  ")[1] == "undecided"
    assert "note: no baseline was given for b, c, text" in said
    assert not [line for line in said.splitlines() if line != line.rstrip()]


def test_the_largest_difference_of_the_merged_model_is_in_points():
    rows = {**matrix().rows[3], "b": questions(1, nll=1.0)}
    said = report(merged=rows).text()
    assert "scores differ by at most 100 points, losses by at most 0.5 nats, of one example" in said


def test_what_there_is_none_of_is_a_dash_or_left_out():
    one = {"a": questions(1)}
    said = report(RetentionMatrix(tasks=("a",), rows=(one, one))).text()
    assert re.search(r"^BWT +- points", said, re.M)
    for word in ("PEFT", "JOINT", "forgotten", "merged, reloaded", "baseline:"):
        assert word not in said
    assert report().text().count("forgotten?") == 1


def test_a_table_is_as_wide_as_it_is():
    """Folded, it could not be compared with another."""
    names = [f"task {number}" for number in range(40)]
    found = lines(["", *names], [["row", *names]])
    assert len(found) == 3
    assert found[0].split("  ")[-1].strip() == "task 39"


def test_a_name_is_no_markup():
    found = lines(["[red]a[/red]"], [["[bold]x"], [":smile:"]])
    assert [line.strip() for line in found if "─" not in line] == [
        "[red]a[/red]",
        "[bold]x",
        ":smile:",
    ]


def test_in_a_notebook_nothing_is_displayed_beside_it(monkeypatch, capsys):
    """rich would, where it finds a kernel's shell: an empty output for each table."""
    pytest.importorskip("IPython")

    class ZMQInteractiveShell:
        """What rich knows a kernel by."""

    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    found = lines(["a", "b"], [["1", "2"]])
    assert capsys.readouterr().out == ""
    assert found[-1].split() == ["1", "2"]
