from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore, take_survey

LOSSES = [0.4, 0.2, 0.3]


@pytest.fixture
def directory(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", keep=9, asynchronous=False)
    for iteration, loss in enumerate(LOSSES, start=1):
        meta = {"metrics": {"val/loss": loss}}
        store.save({"w": np.full(3, loss)}, iteration=iteration, meta=meta)
    return store.directory


def survey(directory, mode="min"):
    return take_survey(directory, monitor="val/loss", mode=mode)


def test_newest_and_best(directory):
    found = survey(directory)
    assert [f.path.name for f in found.found] == ["00000001", "00000002", "00000003"]
    assert not any(f.fault for f in found.found)
    assert found.resume.path.name == "00000003"
    assert found.best.path.name == "00000002"
    assert survey(directory, "max").best.path.name == "00000001"
    assert not found.all_bad


def test_it_agrees_with_the_store_when_the_newest_and_the_best_are_bad(directory, caplog):
    for name in ("00000002", "00000003"):
        (directory / name / "meta.json").unlink()
    found = survey(directory)
    assert found.resume == found.best
    assert len([f for f in found.found if f.fault]) == 2
    store = CheckpointStore(directory)
    assert store.latest() == found.resume
    assert store.best() == found.best
    assert "set aside" in caplog.text


def test_without_the_metric_there_is_no_best(directory):
    assert take_survey(directory, monitor="val/other", mode="min").best is None


def test_nothing_there_and_nothing_good(directory, tmp_path):
    nothing = survey(tmp_path / "none")
    assert nothing.found == ()
    assert nothing.resume is None
    assert not nothing.all_bad
    for path in directory.iterdir():
        (path / "manifest.sha256").write_text("")
    assert survey(directory).all_bad


def test_what_is_nobodys_half_written_checkpoint_is_not_listed(directory):
    (directory / ".tmp-mine").mkdir()
    (directory / ".tmp-00000009").mkdir()
    (directory / ".tmp-old-00000001").mkdir()
    (directory / ".tmp-shared-{}".format("0" * 64)).mkdir()
    listed = [f.path.name for f in survey(directory).found if "half-written" in f.fault]
    assert listed == [".tmp-00000009", ".tmp-old-00000001", ".tmp-shared-" + "0" * 64]


def test_one_that_was_renamed_is_neither_resumed_nor_the_best(directory):
    (directory / "00000002").rename(directory / "00000900")
    found = survey(directory)
    assert found.resume.iteration == 3
    assert found.best.iteration == 3
    (fault,) = [f.fault for f in found.found if f.fault]
    assert "was renamed: it is a checkpoint of iteration 2" in fault
