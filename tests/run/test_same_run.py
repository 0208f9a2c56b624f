"""Whether what stands in a directory is the run of a config."""

from __future__ import annotations

import json
import logging

import pytest

from jaxtrain.checkpoint import Saved
from jaxtrain.config import dump, to_dict
from jaxtrain.errors import CheckpointMismatchError, ConfigError
from jaxtrain.run.same_run import refuse_another_run, tell_of_lost_record


@pytest.fixture
def checkpoint(tmp_path):
    """checkpoint(config, 12): one that says so, or one of another's config."""

    def make(config, iteration=12):
        meta = {"iteration": iteration}
        if config is not None:
            plain = config if isinstance(config, dict | list | str) else to_dict(config)
            meta["config"] = json.loads(json.dumps(plain))
        return Saved(tmp_path / "checkpoints" / f"{iteration:08d}", meta)

    return make


@pytest.fixture
def record(tmp_path):
    return tmp_path / "config.yaml"


def test_the_same_run_everywhere(digits, record, checkpoint):
    dump(digits(), record)
    refuse_another_run(record, [checkpoint(digits()), checkpoint(None, 13)], digits("hooks={}"))


def test_a_record_that_was_edited_does_not_fool_the_run(digits, record, checkpoint):
    """At 888f0db the banner said 0.05, and the optimizer went on with 0.001."""
    dump(digits("optimizer.learning_rate=0.05"), record)
    was = checkpoint(digits("optimizer.learning_rate=0.001"))
    with pytest.raises(CheckpointMismatchError) as raised:
        refuse_another_run(record, [was], digits("optimizer.learning_rate=0.05"))
    said = str(raised.value)
    assert "optimizer.learning_rate: 0.001 in checkpoints/00000012, 0.05 now" in said
    assert "config.yaml says nothing else than the config of now" in said
    assert raised.value.exit_code == 2
    # And the other way round: all three are told.
    with pytest.raises(ConfigError) as raised:
        refuse_another_run(record, [was], digits("optimizer.learning_rate=0.001"))
    assert "optimizer.learning_rate: 0.05 in config.yaml, 0.001 now" in str(raised.value)
    with pytest.raises(ConfigError) as raised:
        refuse_another_run(record, [was], digits("optimizer.learning_rate=0.01"))
    assert (
        "optimizer.learning_rate: 0.001 in checkpoints/00000012, 0.05 in config.yaml, 0.01 now"
        in str(raised.value)
    )


def test_one_checkpoint_of_another_run_among_ones_own_is_found(digits, record, checkpoint):
    dump(digits(), record)
    saved = [checkpoint(digits(), 9), checkpoint(digits("seed=7"), 11), checkpoint(digits(), 12)]
    with pytest.raises(CheckpointMismatchError, match="seed: 7 in checkpoints/00000011, 0 now"):
        refuse_another_run(record, saved, digits())


def test_what_several_say_alike_is_told_once(digits, record, checkpoint):
    dump(digits(), record)
    saved = [checkpoint(digits("seed=7"), 9), checkpoint(digits("seed=7"), 12)]
    with pytest.raises(CheckpointMismatchError) as raised:
        refuse_another_run(record, saved, digits())
    assert str(raised.value).count("seed: ") == 1
    assert "checkpoints/00000009" not in str(raised.value)


LOST = {
    "torn": lambda text: text[: text.index("learning_rate")] + "{",
    "empty": lambda text: "",
    "a key removed": lambda text: text.replace("  epochs: 2\n", ""),
    "a section removed": lambda text: text.replace("train:\n  epochs: 2\n", "train:\n"),
    "a list": lambda text: "[1, 2]\n",
    "not YAML": lambda text: "a: [1\nb: }",
    "a tag": lambda text: "seed: !!python/object:os.system 3\n",
    "a duplicate": lambda text: text + "seed: 0\n",
    "too deep": lambda text: "a: " + "[" * 600,
}


@pytest.mark.parametrize("how", LOST)
def test_a_record_that_is_lost_is_made_up_for_by_the_checkpoints(
    digits, record, checkpoint, caplog, how
):
    """At 888f0db a torn config.yaml, or one with a key removed, ended in a traceback."""
    dump(digits(), record)
    record.write_text(LOST[how](record.read_text()))
    refuse_another_run(record, [checkpoint(digits())], digits())
    with caplog.at_level(logging.WARNING):
        tell_of_lost_record(record, digits())
    assert "written anew" in caplog.text
    says = "seed: 0 in checkpoints/00000012( and config.yaml)?, 3 now"
    with pytest.raises((CheckpointMismatchError, ConfigError), match=says):
        refuse_another_run(record, [checkpoint(digits())], digits("seed=3"))


@pytest.mark.parametrize("content", [b"\xff\xfea\0", b"seed: \0", b"a: [1\nb: }"])
def test_without_a_checkpoint_nobody_knows_what_the_run_was(digits, record, checkpoint, content):
    record.write_bytes(content)
    for saved in ([], [checkpoint(None)], [checkpoint({"a.b": 1})], [checkpoint("text")]):
        with pytest.raises(ConfigError) as raised:
            refuse_another_run(record, saved, digits())
        said = str(raised.value)
        assert "config.yaml" in said
        assert "there is no checkpoint to say what the run in" in said
        assert "choose another workdir" in said


def test_a_record_that_is_gone_is_made_up_for_and_told(digits, record, checkpoint, caplog):
    refuse_another_run(record, [checkpoint(digits())], digits())
    tell_of_lost_record(record, digits())
    assert "config.yaml: no such file" in caplog.text


def test_a_record_that_can_not_be_replaced_is_refused(digits, record, checkpoint):
    record.mkdir()
    with pytest.raises(ConfigError, match=r"config\.yaml: expected a file, found something else"):
        refuse_another_run(record, [checkpoint(digits())], digits())


def test_no_word_about_a_record_that_is_whole(digits, record, caplog):
    dump(digits(), record)
    tell_of_lost_record(record, digits())
    assert caplog.text == ""


def test_sections_of_another_kind_are_differences(digits, record, checkpoint):
    dump(digits(), record)
    plain = json.loads(json.dumps(to_dict(digits())))
    with pytest.raises(CheckpointMismatchError, match="optimizer: 7 in checkpoints/00000012"):
        refuse_another_run(record, [checkpoint({**plain, "optimizer": 7})], digits())
