"""The grammar of `--where`."""

from __future__ import annotations

import pytest

from jaxtrain.cli.runs_where import Condition
from jaxtrain.errors import ConfigError


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_the_six_operators(operator, below, at, above):
    condition = Condition.of(f"val/loss {operator} 0.5")
    assert condition == Condition("val/loss", operator, 0.5)
    assert [condition.holds({"val/loss": v}) for v in (0.4, 0.5, 0.6)] == [below, at, above]
    assert not condition.holds({"loss": 0.4})


def test_blanks_do_not_matter_but_in_names():
    assert Condition.of("a>-1") == Condition("a", ">", -1.0)
    assert Condition.of("  my score  >=  1e-3 ") == Condition("my score", ">=", 0.001)


@pytest.mark.parametrize(
    "text", ["", "a", "a >", "> 3", "a = 3", "a => 3", "a > b", "a > nan", "a > 1 2", "a < 1 < 2"]
)
def test_what_is_no_condition_shows_one_that_is(text):
    with pytest.raises(ConfigError) as raised:
        Condition.of(text)
    assert "for instance 'val/accuracy > 0.9'" in str(raised.value)
    assert str(raised.value).endswith(f"found {text!r}")
