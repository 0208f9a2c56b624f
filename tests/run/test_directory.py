"""The directory of a run: held by one, and only for the run that is in it."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run.directory import RunDirectory, run_id


def test_only_the_object_that_holds_it_may_write(digits, tmp_path):
    config = digits()
    mine, other = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    assert not mine.is_held
    with mine.held(config):
        assert mine.is_held
        assert not other.is_held
        with pytest.raises(ConfigError), other.held(config):
            pass
        assert not other.is_held
    assert not mine.is_held
    with pytest.raises(ZeroDivisionError), mine.held(config):
        raise ZeroDivisionError
    assert not mine.is_held


def test_another_run_is_refused_with_what_differs_and_what_to_do(digits, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.held(digits("metrics=[loss]")):
        pass
    before = (directory / "config.yaml").read_bytes()
    other = digits("metrics=[loss, accuracy]", "seed=5", "hooks.csv=null")
    with pytest.raises(ConfigError) as raised, directory.held(other):
        pass
    said = str(raised.value)
    assert "seed: 0 there, 5 now" in said
    assert "metrics.accuracy: (not set) there" in said
    assert "hooks" not in said  # free to change
    assert "another workdir" in said
    assert "--" not in said  # the room does not know the command line
    assert (directory / "config.yaml").read_bytes() == before


def test_the_metrics_of_a_run_are_part_of_its_name(digits):
    names = {
        run_id(digits(*overrides))
        for overrides in (
            [],
            ["metrics=[loss]"],
            ["metrics=[loss, accuracy]"],
            ["metrics=[loss, {name: accuracy, top_k: 3}]"],
            ["metrics=[]"],
        )
    }
    assert len(names) == 5
    assert run_id(digits("metrics=[loss]")) == run_id(digits("metrics={loss: {}}"))


def test_other_files_are_left_alone(digits, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(ConfigError, match="found other files; choose another workdir"),
        RunDirectory(tmp_path).held(digits()),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_whether_it_may_be_used_can_be_asked_without_touching_it(digits, tmp_path):
    """Finding C26: `plan` did not look at what stands there."""
    directory = RunDirectory(tmp_path / "run")
    directory.refuse_others(digits())
    assert not directory.path.exists()
    with directory.held(digits()):
        pass
    before = sorted((path, path.stat().st_mtime_ns) for path in directory.path.iterdir())
    directory.refuse_others(digits("hooks.csv=null"))
    with pytest.raises(ConfigError, match="seed: 0 there, 5 now"):
        directory.refuse_others(digits("seed=5"))
    assert before == sorted((path, path.stat().st_mtime_ns) for path in directory.path.iterdir())
