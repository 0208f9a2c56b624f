"""What becomes of each member."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.hooks import EarlyStopping
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.sweeps.following import Following


def test_a_state_of_other_members_is_refused():
    following = Following((3, 4), Monitor("val/loss"))
    with pytest.raises(ValueError, match="expected 2 members, found 1"):
        following.restore(Following((3,), Monitor("val/loss")).state())


def test_some_of_the_members_keep_what_is_theirs():
    hooks = [EarlyStopping(patience=2) for _ in range(3)]
    following = Following((3, 4, 5), Monitor("val/loss"), hooks)
    following.best, following.best_epochs = [0.3, 0.4, None], [1, 2, None]
    following.failed_at, following.stopped_at = [0, 0, 7], [0, 5, 0]
    hooks[1].take({"val/loss": 0.4}, 2)
    found = following.only([1, 2])
    assert found["best"] == [0.4, None]
    assert (found["failed_at"], found["stopped_at"]) == ([0, 7], [5, 0])
    fewer = Following((4, 5), Monitor("val/loss"), [EarlyStopping(patience=2) for _ in range(2)])
    fewer.restore(found)
    assert fewer.trains().tolist() == [False, False]
    assert fewer.stopping[0].best == 0.4
    assert following.trains().tolist() == [True, False, False]


def test_a_figure_that_nobody_has_is_said(tmp_path):
    from tests.sweeps.small import sweep

    with pytest.raises(ConfigError, match=r"no metric of a member is called 'val/f2'.*val/loss"):
        sweep(tmp_path / "s", monitor="val/f2", mode="max", members=1).run()
