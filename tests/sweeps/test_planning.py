"""What would be trained together."""

from __future__ import annotations

from jaxtrain.sweeps import describe_sweep
from tests.sweeps.small import SPACE, sweep


def test_programs_are_told_apart(tmp_path):
    space = {**SPACE, "model.hidden": [[8], [16]]}
    said = describe_sweep(sweep(tmp_path / "s", space=space, members=6))
    assert said.startswith("6 members, 6 at once: 2 programs\n")
    assert "members (model.hidden=(8,))" in said
    assert "vary within it: model.dropout, optimizer.learning_rate" in said
    assert "computed one after the other" in said
    assert "MiB a member" in said
    assert not (tmp_path / "s").exists()


def test_optuna_is_not_asked(tmp_path):
    said = describe_sweep(sweep(tmp_path / "s", search="optuna"))
    assert said == "search: optuna asks for members as it goes; none is known before"
