"""What stands in the way of going on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from jaxtrain.checkpoint import CheckpointStore, Saved, environment
from jaxtrain.errors import CheckpointError, CheckpointMismatchError, ConfigError
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.resuming import (
    newest,
    refuse_other_data,
    refuse_unwanted,
    warn_of_other_conditions,
)


def saved(**meta) -> Saved:
    return Saved(path=Path("checkpoints/7"), meta={"iteration": 7, **meta})


@pytest.mark.parametrize(
    ("resume", "there", "message"),
    [
        ("auto", True, None),
        ("auto", False, None),
        ("must", True, None),
        ("must", False, "holds no run to continue"),
        ("never", False, None),
        ("never", True, "holds a run; choose another workdir"),
    ],
)
def test_a_run_that_must_or_must_not_be_there(tmp_path, resume, there, message):
    if there:
        (tmp_path / "config.yaml").touch()
    if message is None:
        refuse_unwanted(RunDirectory(tmp_path), resume)
    else:
        with pytest.raises(ConfigError, match=message):
            refuse_unwanted(RunDirectory(tmp_path), resume)


@pytest.mark.parametrize(("resume", "report"), [("must", False), ("auto", True), ("must", True)])
def test_a_run_without_checkpoints_is_not_begun_anew(tmp_path, resume, report):
    if report:
        (tmp_path / "metrics.json").touch()
    directory, store = RunDirectory(tmp_path), CheckpointStore(tmp_path / "checkpoints")
    with pytest.raises(CheckpointError, match="not starting over from step 0"):
        newest(directory, store, resume)


def test_one_that_has_just_begun_may_have_none(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    assert newest(RunDirectory(tmp_path), store, "auto") is None


def test_other_data_are_told_set_by_set():
    now = {"train": "a", "test": "b"}
    refuse_other_data(saved(data=dict(now)), now)
    with pytest.raises(CheckpointMismatchError) as raised:
        refuse_other_data(saved(data={"train": "a", "validation": "v", "test": "x"}), now)
    said = str(raised.value)
    assert said.startswith("the test and validation data are not those")
    assert "test: saved: x\n  test: now: b" in said
    assert "validation: saved: v\n  validation: now: None" in said
    assert "train" not in said
    with pytest.raises(CheckpointMismatchError):
        refuse_other_data(saved(), now)


def test_other_conditions_are_a_warning(caplog):
    caplog.set_level(logging.WARNING)
    warn_of_other_conditions(saved(environment=environment.current()))
    assert caplog.text == ""
    warn_of_other_conditions(saved(environment=environment.current() | {"jax": "0.1"}))
    assert "not bit-exact" in caplog.text
    assert "jax: '0.1' ->" in caplog.text
