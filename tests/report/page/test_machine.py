"""Tests of jaxtrain.report.page.machine."""

import pytest

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.machine import add_machine
from tests.report.page.small import written


def added(path, rows):
    content = Content("a")
    add_machine(content, written(path, system=rows))
    return content


def test_a_panel_for_each_column_in_its_unit(tmp_path):
    rows = [
        {"seconds": 1.5 * at, "cpu_percent": at, "host_memory_bytes": at * 2**30, "note": "x"}
        for at in range(4)
    ]  # fmt: skip
    content = added(tmp_path, rows)
    assert list(content.figures) == ["system:cpu_percent", "system:host_memory_bytes"]
    cpu, memory = content.figures.values()
    assert (cpu["unit"], memory["unit"]) == ("%", "GiB")
    assert (cpu["name"], memory["name"]) == ("cpu", "host memory")
    assert memory["curves"][0]["y"] == [0.0, 1.0, 2.0, 3.0]
    assert memory["curves"][0]["x"] == [0.0, 1.5, 3.0, 4.5]
    assert cpu["axis"] == "time, s"
    assert not cpu["smooths"]
    assert "host memory: at most 3 GiB" in content.sections[0].html


@pytest.mark.parametrize(
    ("last", "axis", "x"), [(179, "time, s", 179), (180, "time, min", 3), (7200, "time, h", 2)]
)
def test_time_is_told_in_what_fits_it(tmp_path, last, axis, x):
    rows = [{"seconds": 0, "a": 1}, {"seconds": last, "a": 2}]
    figure = added(tmp_path, rows).figures["system:a"]
    assert (figure["axis"], figure["curves"][0]["x"][-1]) == (axis, x)


def test_time_that_begins_anew_is_a_gap(tmp_path):
    rows = [{"seconds": at, "a": at} for at in (0, 10, 2, 12)]
    curve = added(tmp_path, rows).figures["system:a"]["curves"][0]
    assert curve["x"] == [0, 10, 10, 2, 12]
    assert curve["y"] == [0, 10, None, 2, 12]


def test_without_seconds_the_axis_is_the_iteration(tmp_path):
    rows = [{"iteration": 3, "a": 1.0}, {"iteration": 5, "b": 1.0}, {"a": 1.0}]
    content = added(tmp_path, rows)
    assert content.figures["system:a"]["axis"] == "iteration"
    assert content.figures["system:a"]["curves"][0]["x"] == [3]


def test_without_numbers_there_is_no_section(tmp_path):
    assert added(tmp_path / "none", []).sections == []
    assert added(tmp_path / "texts", [{"seconds": 1, "a": "x", "b": True}]).sections == []
