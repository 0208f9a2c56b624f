"""A sweep's file."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.sweeps import SweepConfig

SPACE = {"a.b": {"uniform": [0, 1]}}


def test_a_file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "members: 20\nhalving: {first: 2}\nspace:\n  optimizer.learning_rate: {log_uniform: "
        "[1.0e-4, 0.1]}\n  model.hidden: [[64], [128, 128]]\n"
    )
    found = SweepConfig.of(path)
    assert (found.search, found.members, found.batch, found.seed) == ("random", 20, 20, 0)
    assert (found.halving.first, found.halving.factor) == (2, 3)
    assert list(found.space.keys) == ["optimizer.learning_rate", "model.hidden"]
    assert SweepConfig(found.to_json()).to_json() == found.to_json()


def test_how_many():
    grid = {"search": "grid", "space": {"a": [1, 2], "b": [1, 2, 3]}}
    assert SweepConfig(grid).members == 6
    assert SweepConfig({**grid, "members": 6}).members == 6
    with pytest.raises(ConfigError, match="members: the grid has 6, found 5"):
        SweepConfig({**grid, "members": 5})
    with pytest.raises(ConfigError, match="members: expected how many there are to be"):
        SweepConfig({"space": SPACE})
    assert SweepConfig({"space": SPACE, "members": 50, "search": "optuna"}).batch == 16
    assert SweepConfig({"space": SPACE, "members": 5, "batch": 9}).batch == 5


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"serach": "grid"},
            r"serach: unknown key; did you mean 'search'\? \(known: space, search",
        ),
        ({"search": "bayes"}, "search: expected 'grid' or 'random' or 'optuna', found 'bayes'"),
        (
            {"halving": {"first": 0}},
            r"halving\.first: expected a whole number of at least 1, found 0",
        ),
        ({"halving": {"first": 1, "factor": 1}}, r"halving\.factor"),
        ({"optuna": {}}, "optuna: is for search: optuna, found search: random"),
        ({"order": "both"}, "order"),
        ({3: 4}, "3: unknown key"),
        (
            {"space": {"train.epochs": [1, 2]}, "halving": {"first": 1}},
            "halving: compares members behind as many epochs",
        ),
        ({"order": "in_turn", "mesh": {"data": 2}}, "mesh.data 2: members in turn go through one"),
        ({"mesh": {"data": 0}}, r"mesh\.data: expected .* of at least 1, found 0"),
        ({"mesh": {"fsdp": 2}}, r"mesh\.fsdp"),
        ({"search": "optuna", "optuna": {"storage": "sqlite:///x.db"}}, "storage wants a study"),
    ],
)
def test_what_is_wrong(more, says):
    with pytest.raises(ConfigError, match=says):
        SweepConfig({"space": SPACE, "members": 4, **more})


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"sweep\.yaml: .*(no such|there is no)"):
        SweepConfig.of(tmp_path / "sweep.yaml")
    path = tmp_path / "sweep.yaml"
    path.write_text("space: {a: [1]}\n")
    with pytest.raises(ConfigError, match=rf"{path}: members"):
        SweepConfig.of(path)
