"""Tests of jaxtrain.retention.findings: verdicts on ends."""

import math

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.retention import Estimate, RetentionReport
from jaxtrain.retention.findings import verdict
from tests.retention.small import matrix


def test_verdicts_are_drawn_on_the_end_of_the_interval():
    changes = {
        "lost": Estimate(-0.5, -0.6, -0.4),
        "unsure": Estimate(-0.5, -1.0, 0.0),
        "kept": Estimate(0.0, -0.01, 0.01),
        "better": Estimate(0.2, 0.1, 0.3),
    }
    assert {n: verdict(c, 0.02) for n, c in changes.items()} == {
        "lost": "forgotten",
        "unsure": "undecided",
        "kept": "kept",
        "better": "kept",
    }
    assert verdict(changes["lost"], 0.4) == "undecided", "the end is at the tolerance"
    assert verdict(changes["lost"], 0.39) == "forgotten"
    assert verdict(changes["lost"], 0.6) == "kept"
    assert verdict(changes["kept"], 0.0) == "undecided"


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, math.nan])
def test_a_tolerance_is_a_score(tolerance):
    with pytest.raises(ConfigError, match="tolerance: expected a score from 0 to 1"):
        RetentionReport.of(matrix(), resamples=100).forgotten(tolerance)
