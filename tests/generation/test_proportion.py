"""Proportions and Wilson's interval."""

from __future__ import annotations

import math

import pytest

from jaxtrain.generation import Proportion


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [  # scipy.stats.binomtest(hits, total).proportion_ci(method="wilson")
        (0, 10, 0.0, 0.2775327998628892),
        (10, 10, 0.7224672001371108, 1.0),
        (5, 10, 0.23659309051256506, 0.763406909487435),
        (41, 50, 0.6920394632569922, 0.9022980732976582),
        (1, 1, 0.2065493143772375, 1.0),
    ],
)
def test_the_interval_is_wilsons(hits, total, low, high):
    assert Proportion(hits, total).value == hits / total
    assert Proportion(hits, total).interval() == pytest.approx((low, high), abs=1e-6)


def test_it_solves_wilsons_equation():
    """|p - hits / n| = z sqrt(p (1 - p) / n) at both ends."""
    found = Proportion(37, 120)
    for end in found.interval():
        expected = 1.959963984540054 * math.sqrt(end * (1 - end) / 120)
        assert abs(end - found.value) == pytest.approx(expected, rel=1e-12)


def test_it_stays_between_0_and_1():
    for total in (1, 3, 10**9):
        for hits in (0, total):
            low, high = Proportion(hits, total).interval()
            assert 0 <= low <= hits / total <= high <= 1
