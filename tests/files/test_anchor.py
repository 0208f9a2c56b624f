"""A directory that was taken away while somebody wrote into it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jaxtrain.errors import CheckpointError
from jaxtrain.files.anchor import anchored, refuse_gone
from jaxtrain.files.atomic import replacing

TAKEN = {
    "deleted": shutil.rmtree,
    "renamed": lambda path: path.rename(path.with_name("elsewhere")),
    "replaced": lambda path: (path.rename(path.with_name("elsewhere")), path.mkdir()),
    "made anew": lambda path: (shutil.rmtree(path), path.mkdir()),
    "a file": lambda path: (shutil.rmtree(path), path.touch()),
}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    return tmp_path / "run"


def test_one_that_is_there_is_there(run):
    with anchored(run):
        refuse_gone(run)
        refuse_gone(run / "metrics.jsonl")
        refuse_gone(run / "checkpoints" / "00000001" / "meta.json")
        (run / "new").touch()
        refuse_gone(run)


@pytest.mark.parametrize("how", TAKEN)
def test_one_that_was_taken_away_is_told(run, how):
    with anchored(run):
        TAKEN[how](run)
        for path in (run, run / "metrics.jsonl", run / "checkpoints" / "00000001"):
            with pytest.raises(CheckpointError, match="run: the directory is gone: it was"):
                refuse_gone(path)
        refuse_gone(run.with_name("other"))
    refuse_gone(run)  # nobody holds it any more


@pytest.mark.parametrize("how", TAKEN)
def test_nothing_is_written_in_the_place_of_one_that_is_gone(run, how):
    with anchored(run):
        TAKEN[how](run)
        with pytest.raises(CheckpointError), replacing(run / "metrics.json") as temporary:
            temporary.write_text("{}")
    assert not list(run.glob("*"))


def test_nothing_is_put_in_place_of_a_file_of_one_that_goes_meanwhile(run):
    def write_and_lose():
        with replacing(run / "metrics.json") as temporary:
            run.rename(run.with_name("elsewhere"))
            run.mkdir()
            temporary.write_text("{}")

    with anchored(run), pytest.raises(CheckpointError):
        write_and_lose()
    assert not list(run.iterdir())


def test_a_relative_path_is_the_same_directory(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    with anchored(Path("run")):
        refuse_gone(run)
        shutil.rmtree(run)
        with pytest.raises(CheckpointError):
            refuse_gone(run)
        with pytest.raises(CheckpointError):
            refuse_gone(Path("run/metrics.csv"))
