"""Members that are trained together, from rung to rung."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest

from jaxtrain.errors import CheckpointError, Preempted
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.run import make_config
from jaxtrain.sweeps import split
from jaxtrain.sweeps.unit import Unit
from tests.sweeps.small import tree


@pytest.fixture(scope="module")
def group():
    (group,) = split([make_config(tree(f"seed={seed}")) for seed in range(3)])
    return group


def _unit(group, path):
    return Unit(path, group, places=(0, 1, 2), members=(4, 5, 6), monitor=Monitor("val/loss"))


def test_an_interruption_is_gone_on_with_to_the_bit(group, tmp_path):
    whole = _unit(group, tmp_path / "a").train(0, 3, [4, 5, 6], nullcontext)
    left = _unit(group, tmp_path / "b")

    @contextmanager
    def interrupting(engine):
        from jaxtrain.engine import Events

        engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: e.interrupt())
        yield

    with pytest.raises(Preempted, match="run it again to go on"):
        left.train(0, 3, [4, 5, 6], interrupting)
    assert left.result(0) is None
    assert _unit(group, tmp_path / "b").train(0, 3, [4, 5, 6], nullcontext) == whole


def test_a_rung_goes_on_from_the_one_before(group, tmp_path):
    unit = _unit(group, tmp_path)
    first = unit.train(0, 1, [4, 5, 6], nullcontext)
    second = _unit(group, tmp_path).train(1, 3, [4, 6], nullcontext)
    assert (first["members"], second["members"]) == ([4, 5, 6], [4, 6])
    assert second["epoch"] == 3
    whole = _unit(group, tmp_path / "whole").train(0, 3, [4, 5, 6], nullcontext)
    assert second["best"] == [whole["best"][0], whole["best"][2]]


def test_a_rung_of_which_nothing_is_left(group, tmp_path):
    with pytest.raises(CheckpointError, match="holds nothing"):
        _unit(group, tmp_path).train(1, 3, [4], nullcontext)
