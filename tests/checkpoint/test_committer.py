"""What a store does with it is in test_store.py, what several processes do in test_together.py."""

import numpy as np
import pytest

from jaxtrain.checkpoint.arrays import read_arrays
from jaxtrain.checkpoint.committer import Committer
from jaxtrain.checkpoint.together import ALONE
from jaxtrain.errors import CheckpointError


@pytest.fixture
def committer(tmp_path):
    return Committer(tmp_path / "c", ALONE, keep=1, keep_best=1, monitor="loss", mode="min")


def meta(iteration, loss):
    own = {"format": 2, "keys": {}}
    return {"iteration": iteration, "metrics": {"loss": loss}, **own}


def test_a_commit_is_whole_and_what_is_not_kept_goes(committer, tmp_path):
    for iteration, loss in enumerate((0.1, 0.3, 0.2), 1):
        committer.commit({"w": np.full(2, iteration)}, [], meta(iteration, loss))
    assert [saved.iteration for saved in committer.committed()] == [1, 3]
    assert [saved.iteration for saved in committer.ranked(committer.committed())] == [1, 3]
    assert read_arrays(tmp_path / "c/00000003/arrays")["w"].tolist() == [3, 3]


def test_what_was_begun_is_gone_when_it_fails(committer, tmp_path):
    (tmp_path / "c/.tmp-00000001").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"saving iteration 1 failed: meta\.json takes"):
        committer.commit({"w": np.ones(1)}, [], meta(1, 0.1) | {"x": "y" * (1 << 26)})
    assert list((tmp_path / "c").iterdir()) == []
