"""What a path that somebody typed means."""

from __future__ import annotations

import pytest

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.errors import ConfigError
from jaxtrain.run.found import find_checkpoint, survey


def test_a_run_directory_or_a_checkpoint_is_wanted(tmp_path):
    with pytest.raises(ConfigError, match="found nothing there"):
        find_checkpoint(tmp_path / "gone")
    with pytest.raises(ConfigError, match="found neither"):
        find_checkpoint(tmp_path)
    with pytest.raises(ConfigError, match=r"found no config\.yaml in it"):
        survey(tmp_path)


@pytest.fixture
def run(tmp_path):
    """run({"monitor": ...}): two checkpoints whose newest has that section in its config."""

    def make(section):
        store = CheckpointStore(tmp_path / "checkpoints", keep=9, asynchronous=False)
        for iteration, (loss, other) in enumerate([(0.2, 0.3), (0.4, 0.1)], 1):
            meta = {"metrics": {"val/loss": loss, "val/other": other}}
            config = {} if section is None else {"config": {"checkpoint": section}}
            store.save({"w": 1.0}, iteration=iteration, meta=meta | config)
        return tmp_path

    return make


def best_of(run):
    return survey(run).best.iteration


def test_the_best_is_chosen_as_the_checkpoints_say_whatever_config_yaml_does(run, tmp_path):
    """At 888f0db config.yaml alone decided, and one without `checkpoint` was a traceback."""
    run({"monitor": "val/other", "mode": "auto"})
    assert best_of(tmp_path) == 2
    for text in ("checkpoint: {monitor: val/loss}", "seed: 3", "a: [1\nb: }", "checkpoint: 7", ""):
        (tmp_path / "config.yaml").write_text(text)
        assert best_of(tmp_path) == 2
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe")
    assert best_of(tmp_path) == 2


@pytest.mark.parametrize(
    ("section", "text", "best"),
    [
        (None, "checkpoint: {monitor: val/other}", 2),
        (7, "checkpoint: {monitor: val/other, mode: max}", 1),
        ({}, "checkpoint: {monitor: val/other}", 2),
        ({"monitor": 3}, "checkpoint: {monitor: val/other}", 2),
        ({"monitor": "val/loss", "mode": "sideways"}, "checkpoint: {monitor: val/other}", 2),
        (None, "checkpoint: {monitor: [1]}", 1),
        (None, "checkpoint: 3", 1),
        (None, "seed: 3", 1),
        (None, "a: [1\nb: }", 1),
        (None, "", 1),
    ],
)
def test_where_they_do_not_say_config_yaml_does_and_else_the_default(
    run, tmp_path, section, text, best
):
    run(section)
    (tmp_path / "config.yaml").write_text(text)
    assert best_of(tmp_path) == best


def test_checkpoints_alone_make_a_run(run, tmp_path):
    run(None)
    assert [one.iteration for one in (survey(tmp_path).resume, survey(tmp_path).best)] == [2, 1]
