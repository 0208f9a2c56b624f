"""Curves in a few characters."""

from __future__ import annotations

import io
import sys

import pytest

from jaxtrain.cli.sparkline import sparkline


def test_the_least_is_low_and_the_largest_high():
    assert sparkline(range(8), width=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([7.0, 0.0, 3.5], width=8)[:2] == "█▁"


def test_more_values_than_room_are_means_of_all_of_them():
    assert sparkline([0, 14, 7, 7, 14, 0], width=3, low=0, high=14) == "▅▅▅"
    assert sparkline([0.0] * 99 + [70.0], width=10, low=0, high=7) == "▁▁▁▁▁▁▁▁▁█"
    assert len(sparkline(range(101), width=16)) == 16


def test_a_scale_of_others():
    assert sparkline([0.0, 1.0], width=8, low=0.0, high=7.0) == "▁▂"


@pytest.mark.parametrize("values", [[1e308, -1e308, 1e308], [5e-324, 0.0, 5e-324]])
def test_values_at_the_ends_of_what_a_float_holds(values):
    assert len(sparkline(values, width=8)) == 3


def test_an_encoding_without_blocks_gets_ascii(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert sparkline(range(8), width=8) == "_.,-~=*#"
