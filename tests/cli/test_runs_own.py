"""Which files are a run's own, and what a kill while it is removed leaves."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from jaxtrain import tracking
from jaxtrain.cli import runs_own
from jaxtrain.cli.runs_own import foreign, refuse_others, remove, size
from jaxtrain.errors import ConfigError
from jaxtrain.files.lock import lock
from jaxtrain.tracking import RunRecord
from tests.some_runs import epochs_run, note


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with one of everything that a run can have."""
    root = tmp_path_factory.mktemp("whole")
    with tracking.run("birds", "a", root=root) as run:
        run.log({"loss": 0.5})
        run.log_text("said/it", "hello")
        run.log_image("seen", [[0.0, 1.0]])
        (root / "model.bin").write_bytes(b"1")
        artifact = tracking.Artifact("m", "model").add_file(root / "model.bin", "deep/model.bin")
        run.log_artifact(artifact)
        run.use_artifact("m")
    for name in (
        "config.yaml",
        "metrics.json",
        "metrics.csv",
        "learning_curves.png",
        "system.jsonl",
        ".metrics.json.123.tmp",
        "events.out.tfevents.1.host",
        "profile/plugins/profile/x/y.pb",
        "checkpoints/00000900/meta.json",
        "checkpoints/00000900.1/arrays/d/x",
        "checkpoints/.bad/00000900/meta.json",
        "checkpoints/.tmp-00000901/arrays/x",
        "checkpoints/shared/base-1/arrays/x",
        "artifacts/m/.0123456789abcdef.7.tmp/half",
        "media/texts/said/.5-01234567.txt.7.tmp",
    ):
        (run.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (run.directory / name).write_text("x")
    return run.directory


@pytest.fixture
def run(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "birds" / "a"))


def test_all_that_a_run_writes_is_its_own(run):
    assert foreign(run) == []
    refuse_others(run)
    files = [path for path in run.rglob("*") if path.is_file()]
    assert size(run) == (len(files), sum(path.stat().st_size for path in files))
    remove(run)
    assert list(run.parent.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "config.yaml.bak",
        "xconfig.yaml",
        "metrics.jsonl/x",
        "checkpoints/notes.txt",
        "checkpoints/00000900 (copy)/meta.json",
        "media/mine.png",
        "media/texts/said/mine.txt",
        "artifacts/m/mine",
        "artifacts/mine",
        "profile/x",
        "src/train.py",
        ".hidden",
    ],
)
def test_what_a_run_does_not_write_is_named_and_nothing_is_removed(run, name):
    if name.startswith("metrics.jsonl"):
        (run / "metrics.jsonl").unlink()
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text("precious")
    before = sorted(run.rglob("*"))
    with pytest.raises(ConfigError, match="holds what is not the run's own") as raised:
        remove(run)
    assert name in str(raised.value)
    assert sorted(run.rglob("*")) == before
    assert RunRecord.read(run).status == "completed"


def test_links_are_neither_followed_nor_removed(run, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(run / "checkpoints", outside)
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to(outside)
    with pytest.raises(ConfigError, match=r"checkpoints \(a symbolic link\)"):
        remove(run)
    (run / "checkpoints").unlink()
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(ConfigError, match="is a symbolic link, to"):
        remove(tmp_path / "link")
    (run / "artifacts/m/0123456789abcdef").mkdir()
    (run / "artifacts/m/0123456789abcdef/x").symlink_to(outside / "00000900/meta.json")
    with pytest.raises(ConfigError, match="a symbolic link"):
        remove(run)
    assert (outside / "00000900/meta.json").read_text() == "x"


def test_a_directory_without_metadata_is_nobodys(run):
    (run / "metadata.json").rename(run / "metadata.txt")
    with pytest.raises(ConfigError, match=r"found no metadata\.json"):
        remove(run)


def test_a_foreign_metadata_is_no_runs(tmp_path):
    (tmp_path / "metadata.json").write_text('{"name": "a data set"}')
    with pytest.raises(ConfigError, match=r"its metadata\.json is no run's"):
        remove(tmp_path)
    (tmp_path / "metadata.json").write_text("torn, or somebody's")
    with pytest.raises(ConfigError, match=r"its metadata\.json is no run's"):
        remove(tmp_path)
    (tmp_path / "config.yaml").touch()  # which a run has
    remove(tmp_path)
    assert not tmp_path.exists()
    tmp_path.mkdir()  # pytest's own


def test_one_that_a_process_has(run):
    with lock(run) as introduce:
        introduce()
        for refuse in (refuse_others, remove):
            with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
                refuse(run)
    (run / ".lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "now"}))
    for refuse in (refuse_others, remove):
        with pytest.raises(ConfigError, match="in use by a process on elsewhere"):
            refuse(run)
    (run / ".lock").write_text("{")
    assert RunRecord.read(run).status == "completed"
    remove(run)
    assert not run.exists()


def test_a_phase_is_not_removed_alone(tmp_path):
    run = epochs_run(tmp_path, "1-korean", {}, project="phases")
    (tmp_path / "ledger.json").touch()
    with pytest.raises(ConfigError, match="is part of the phases in"):
        remove(run)
    (tmp_path / "ledger.json").rename(tmp_path / "phases/ledger.json")
    with pytest.raises(ConfigError, match="is part of the phases in"):
        remove(run)


class Killed(BaseException):
    """Nobody catches it."""


def killed_at(monkeypatch, number):
    """Let the deletion or rename of that number, from 0 on, be the first that does not happen."""
    calls = iter(range(10_000))

    def counted(real):
        def do(*args, **kwargs):
            if next(calls) >= number:
                raise Killed
            return real(*args, **kwargs)

        return do

    for name in ("unlink", "rmdir", "rename", "replace"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    # Pathlib and shutil look them up in `os` when they are called.


def test_a_kill_at_any_point_leaves_what_is_removed_again(whole, tmp_path, monkeypatch):
    for number in range(10_000):
        run = Path(shutil.copytree(whole, tmp_path / str(number)))
        with monkeypatch.context() as patched:
            killed_at(patched, number)
            try:
                remove(run)
                done = True
            except Killed:
                done = False
        if done:
            assert not run.exists()
            break
        if not (run / "metadata.json").exists():  # the very last: an empty directory
            assert list(run.iterdir()) == []
            continue
        left = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
        state = RunRecord.read(run).status.partition(":")[0]
        everything = len(left) >= sum(path.is_file() for path in whole.rglob("*"))
        assert state == runs_own.REMNANT or (everything and state == "completed")
        if (run / "checkpoints").exists():  # all of them, or none
            count = sum(path.is_file() for path in (whole / "checkpoints").rglob("*"))
            assert sum(path.is_file() for path in (run / "checkpoints").rglob("*")) == count
        remove(run)
        assert not run.exists()
    assert number > 20


def test_a_remnant_keeps_what_it_was(run):
    runs_own._say_remnant(run)
    assert RunRecord.read(run).project == "birds"
    note(run, status="completed")
    (run / ".removed-checkpoints/00000001").mkdir(parents=True)
    (run / ".removed-checkpoints/00000001/x").touch()
    remove(run)  # begun again after a kill, and trained again in between
    assert not run.exists()
