"""How many members there is room for."""

from __future__ import annotations

import pytest

from jaxtrain.run import make_config
from jaxtrain.sweeps import memory, split
from tests.sweeps.small import tree


@pytest.fixture(scope="module")
def group():
    (group,) = split([make_config(tree(f"seed={seed}")) for seed in range(3)])
    return group


def test_all_of_them_or_as_many_as_fit(group, monkeypatch):
    each = memory.bytes_of_member(group)
    # 64 * 8 + 8 + 8 * 10 + 10 numbers, AdamW's three copies of them, four times over.
    assert each > 4 * 3 * 4 * 610
    assert memory.members_at_once(group) == 3
    monkeypatch.setattr(memory, "room", lambda: 2 * each + 1)
    assert memory.members_at_once(group) == 2
    monkeypatch.setattr(memory, "room", lambda: 0)
    assert memory.members_at_once(group) == 1


def test_what_a_loop_makes_slow_goes_one_by_one(group):
    config = make_config(tree("train.form=single"))
    (alone,) = split([config, config.model_copy(update={"seed": 5})])
    assert memory.members_at_once(alone) == 1


def test_there_is_room():
    assert memory.room() > 2**20
