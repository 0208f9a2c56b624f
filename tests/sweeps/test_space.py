"""What a sweep searches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.errors import ConfigError
from jaxtrain.sweeps.space import Distribution, Space


@given(seed=st.integers(0, 2**31))
def test_what_is_drawn_lies_where_it_may(seed):
    rng = np.random.default_rng(seed)
    space = Space.of(
        {
            "a": {"uniform": [-1, 2]},
            "b": {"log_uniform": [1e-5, 1e-1]},
            "c": {"int": [3, 5]},
            "d": {"log_int": [1, 1000]},
            "e": [[64], [128, 128], None],
            "f": {"grid": [True, False]},
        }
    )
    drawn = space.draw(rng)
    assert -1 <= drawn["a"] < 2
    assert 1e-5 <= drawn["b"] < 1e-1
    assert drawn["c"] in (3, 4, 5)
    assert 1 <= drawn["d"] <= 1000
    assert isinstance(drawn["d"], int)
    assert drawn["e"] in ((64,), (128, 128), None)
    assert drawn["f"] in (True, False)


def test_all_of_a_range_is_reached_and_a_logarithm_is_even():
    rng = np.random.default_rng(0)
    whole = Distribution.of("k", {"int": [0, 3]})
    assert {whole.draw(rng) for _ in range(200)} == {0, 1, 2, 3}
    log = Distribution.of("k", {"log_uniform": [1e-4, 1.0]})
    decades = [math.floor(math.log10(log.draw(rng))) for _ in range(4000)]
    assert all(abs(decades.count(d) - 1000) < 120 for d in (-4, -3, -2, -1))
    steps = Distribution.of("k", {"log_int": [1, 8]})
    drawn = [steps.draw(rng) for _ in range(4000)]
    assert drawn.count(1) > 3 * drawn.count(8) > 0


def test_a_grid_is_every_combination_the_last_key_fastest():
    space = Space.of({"a": [1, 2], "b": {"choice": ["x", "y"]}})
    assert list(space.grid()) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    with pytest.raises(ConfigError, match=r"space\.c: a grid is made of lists, found uniform"):
        list(Space.of({"c": {"uniform": [0, 1]}}).grid())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("0.1", r"space\.k: expected a list of values, or one of grid, choice"),
        ({"uniform": [0, 1], "int": [0, 1]}, "expected a list of values, or one of"),
        ({"unifrom": [0, 1]}, "found 'unifrom'; did you mean 'uniform'"),
        ({"uniform": [1, 1]}, "expected the smaller one first"),
        ({"uniform": [0]}, "expected two numbers, found"),
        ({"uniform": [0, math.inf]}, "expected two numbers"),
        ({"int": [0, 1.5]}, "expected two whole numbers"),
        ({"int": [False, True]}, "expected two whole numbers"),
        ({"log_uniform": [0, 1]}, "a logarithm wants numbers above 0"),
        ({"choice": "abc"}, r"space\.k\.choice: expected a list, found 'abc'"),
        ([], "expected a list"),
        ([1, 1], "a value stands there twice"),
    ],
)
def test_what_is_no_distribution(given, says):
    with pytest.raises(ConfigError, match=says):
        Space.of({"k": given})


@pytest.mark.parametrize("key", ["workdir", "checkpoint.mode", "checkpoint", "mesh.data"])
def test_what_all_members_share_can_not_vary(key):
    with pytest.raises(ConfigError, match=rf"space\.{key}: can't vary: all members"):
        Space.of({key: ["a"]})
    assert Space.of({"checkpoint.keep": [1, 2], "projects": [1]}).keys.keys()


def test_a_key_inside_of_another_one_is_refused():
    given = {"model": [{"name": "linear"}], "model.dropout": {"uniform": [0, 1]}}
    with pytest.raises(ConfigError, match=r"space\.model\.dropout: is inside of model"):
        Space.of(given)
    with pytest.raises(ConfigError, match=r"expected a dotted key, .*found 'model\.'"):
        Space.of({"model.": [1]})
    assert len(Space.of({"model.a": [1], "model.ab": [1]}).keys) == 2


def test_the_ends_have_the_ends_of_every_range_and_every_choice():
    space = Space.of({"a": {"uniform": [0.0, 1.0]}, "b": {"int": [2, 4]}, "c": ["x", None, [1]]})
    below = math.nextafter(1.0, 0.0)  # the end of a range of floats is never drawn
    assert space.ends() == [
        {"a": 0.0, "b": 2, "c": "x"},
        {"a": below, "b": 4, "c": None},
        {"a": 0.0, "b": 2, "c": (1,)},
    ]
    assert Space.of({"a": {"log_int": [1, 8]}}).ends() == [{"a": 1}, {"a": 8}]


def test_no_space():
    with pytest.raises(ConfigError, match="space: expected keys of the config"):
        Space.of({})


def test_as_a_file_has_it():
    given = {"a": {"uniform": [0.0, 1.0]}, "b": {"choice": [[64], 1]}, "c": {"int": [0, 3]}}
    assert Space.of(given).to_json() == given
    assert Space.of(Space.of(given).to_json()) == Space.of(given)
