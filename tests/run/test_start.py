"""What a run begins with is known by its digest, wherever it lies."""

import shutil

import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from jaxtrain.run.start import checkpoint_of, filled
from tests.run.test_parameters import TREE


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that is over, of which others begin."""
    directory = tmp_path_factory.mktemp("begun") / "run"
    Experiment(Task.of(RunData.of(make_config(TREE))), directory).train()
    return directory


def test_a_path_alone_is_filled_with_the_digest_of_what_is_there(begun):
    for start in (str(begun), {"path": str(begun)}):
        config = make_config({**TREE, "start": start})
        assert len(config.start.digest) == 64
    assert checkpoint_of(config.start).path == Trained.load(begun).path
    said = {"start": {"path": "gone", "digest": "a" * 64}}
    assert filled(said) is said  # who goes on needs nothing of it


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("nowhere", "start.path: nowhere: expected a run directory"),
        ({"path": "a\0b"}, "start.path: .* can't be a path"),
        ({"pth": "x"}, "start.pth: unknown key"),
        ({"path": 3}, "start.path: expected text"),
        (3, "start: expected a section, or null"),
        ({"path": "x", "digest": "y"}, "start.digest"),
    ],
)
def test_what_is_no_start_is_refused(start, says):
    with pytest.raises(ConfigError, match=says):
        make_config({**TREE, "start": start})


def test_what_it_begins_with_can_be_moved_and_another_can_not_take_its_place(begun, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(begun, moved)
    digest = make_config({**TREE, "start": str(begun)}).start.digest
    config = make_config({**TREE, "start": {"path": str(moved), "digest": digest}})
    state = Task.of(RunData.of(config)).initial_state()
    expected = Trained.load(begun).state.params
    np.testing.assert_array_equal(state.params["output"]["kernel"], expected["output"]["kernel"])
    other = make_config({**TREE, "start": {"path": str(moved), "digest": "b" * 64}})
    with pytest.raises(ConfigError, match="is not what the config says"):
        Task.of(RunData.of(other)).initial_state()


def test_a_run_goes_on_without_what_it_began_with(begun, tmp_path):
    gone = tmp_path / "gone"
    shutil.copytree(begun, gone)
    config = make_config({**TREE, "start": str(gone), "train": {"epochs": 1}})
    directory = tmp_path / "run"
    Experiment(Task.of(RunData.of(config)), directory).train()
    shutil.rmtree(gone)
    again = make_config(directory / "config.yaml", ["train.epochs=2"])
    assert Experiment(Task.of(RunData.of(again)), directory).train()["total_epochs"] == 2
    with pytest.raises(ConfigError, match=r"give its directory, not the config"):
        make_config({**TREE, "start": str(gone)})
