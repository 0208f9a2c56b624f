"""What stands in the way of going on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from jaxtrain.checkpoint import CheckpointStore, RunMeta, Saved, environment
from jaxtrain.engine import Engine
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    DataError,
    DataNotFoundError,
)
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.resuming import (
    Standing,
    look,
    refuse_other_data,
    refuse_other_plugins,
    refuse_unwanted,
    warn_of_other_conditions,
    warn_of_other_weights,
)


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


def looked(path, resume):
    store = CheckpointStore(path / "checkpoints", asynchronous=False)
    trainer = Engine(lambda *_: None)
    return look(RunDirectory(path), store, trainer, resume=resume, epochs=3, loader=None)


@pytest.mark.parametrize(("resume", "report"), [("must", False), ("auto", True), ("must", True)])
def test_a_run_without_checkpoints_is_not_begun_anew(tmp_path, resume, report):
    if report:
        (tmp_path / "metrics.json").touch()
    with pytest.raises(CheckpointError, match="not starting over from step 0"):
        looked(tmp_path, resume)


def test_one_that_has_just_begun_may_have_none(tmp_path):
    assert looked(tmp_path, "auto") == Standing()


def test_other_data_are_told_set_by_set():
    now = {"train": "a", "test": "b"}
    refuse_other_data(dict(now), now)
    with pytest.raises(CheckpointMismatchError) as raised:
        refuse_other_data({"train": "a", "validation": "v", "test": "x"}, now)
    said = str(raised.value)
    assert said.startswith("the test and validation data are not those")
    assert "test: saved: x\n  test: now: b" in said
    assert "validation: saved: v\n  validation: now: None" in said
    assert "train" not in said
    with pytest.raises(CheckpointMismatchError):
        refuse_other_data({}, now)


def standing(**conditions) -> Standing:
    saved = Saved(path=Path("checkpoints/7"), meta={})
    return Standing(saved, RunMeta.model_construct(environment=conditions))


def test_other_conditions_are_a_warning(caplog):
    caplog.set_level(logging.WARNING)
    warn_of_other_conditions(standing(**environment.current()))
    warn_of_other_conditions(Standing())
    assert caplog.text == ""
    warn_of_other_conditions(standing(**(environment.current() | {"jax": "0.1"})))
    assert "not bit-exact" in caplog.text
    assert "jax: '0.1' ->" in caplog.text


A, B = "a" * 64, "b" * 64


def test_the_same_plugins_and_those_that_nobody_noted_are_fine(caplog):
    for before, now in (({"m.py": A}, {"m.py": A}), ({}, {}), (None, {"m.py": A})):
        refuse_other_plugins(before, now)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        (
            {"m.py": A, "n": B},
            {"m.py": B, "n": B},
            "m.py: sha256 aaaaaaaaaaaa… when the",
        ),
        ({"m.py": A}, {"m.py": B}, "was saved, sha256 bbbbbbbbbbbb… now"),
        ({"m.py": A}, {}, "not imported now"),
        ({}, {"m.py": A}, "m.py: not imported when the checkpoint was saved"),
    ],
)
def test_other_plugins_are_named_and_can_be_allowed(before, now, says, caplog):
    """At 888f0db an edited plugin went unseen: accuracy 0.58, then 0.017."""
    with pytest.raises(CheckpointMismatchError) as raised:
        refuse_other_plugins(before, now)
    said = str(raised.value)
    assert says in said
    assert "allow_changed_plugins" in said
    assert "n:" not in said
    with caplog.at_level(logging.WARNING):
        refuse_other_plugins(before, now, allowed=True)
    assert says in caplog.text
    assert "it is another run" in caplog.text


def begun_with(weights):
    said = RunMeta.model_construct(iteration=1, epoch=1, metrics={}, engine={}, weights=weights)
    return Standing(said=said)


def raising(error):
    def digests():
        raise error

    return digests


@pytest.mark.parametrize(
    ("then", "digests", "lines"),
    [
        ({"a": "1" * 64}, lambda: {"a": "1" * 64}, []),
        ({}, lambda: {"a": "1" * 64}, []),
        ({"a": "1" * 64}, None, []),
        ({"a": "1" * 64}, raising(DataNotFoundError("gone")), []),
        (
            {"a": "1" * 64, "b": "2" * 64},
            lambda: {"a": "3" * 64, "c": "4" * 64},
            [
                f"a: sha256 {'1' * 12}… then, sha256 {'3' * 12}… now",
                f"b: sha256 {'2' * 12}… then, none now",
                f"c: none then, sha256 {'4' * 12}… now",
            ],
        ),
        ({"a": "1" * 64}, raising(DataError("torn")), ["they can't be read: torn"]),
        ({"a": "1" * 64}, raising(ConfigError("a Gemma")), ["they can't be read: a Gemma"]),
    ],
)
def test_weights_that_are_others_now_are_told_file_by_file(then, digests, lines, caplog):
    warn_of_other_weights(begun_with(then), digests)
    assert len(caplog.messages) == bool(lines)
    if lines:
        first, *rest = caplog.messages[0].splitlines()
        assert first.startswith("the run: goes on with what it began with; the files of model.wei")
        assert [line.strip() for line in rest] == lines


def test_a_run_that_is_not_there_has_no_weights(caplog):
    warn_of_other_weights(Standing(), lambda: {"a": "1" * 64})
    assert not caplog.messages
