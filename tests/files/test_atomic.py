from pathlib import Path

import pytest

from jaxtrain.errors import DataNotFoundError
from jaxtrain.files.atomic import make_directory, replacing, unfinished
from tests.losing_disk import LosingDisk


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    for text in ("one", "two"):
        with replacing(path) as temporary:
            temporary.write_text(text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("ha")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_that_is_not_the_file_systems_keeps_its_text(tmp_path):
    def refuse():
        with replacing(tmp_path / "file.txt"):
            raise DataNotFoundError("the server says no")  # an OSError, by its tree

    with pytest.raises(DataNotFoundError, match=r"^the server says no$"):
        refuse()


def test_a_failed_write_names_its_file(tmp_path):
    def write():
        with replacing(tmp_path / "file.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*file\.txt'"):
        write()


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


# -- a power cut ---------------------------------------------------------------------------------


def test_a_power_cut_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    disk = LosingDisk(tmp_path / "disk")
    path = disk.root / "metrics.json"
    path.write_text("old")
    with disk.watched(monkeypatch):
        with replacing(path) as temporary:
            temporary.write_text("new, and longer")
            disk.mark("written")
        disk.mark("done")
    for instant in disk.instants:
        for left in instant.after_a_power_cut():
            with left.built(tmp_path / "left") as place:
                content = (place / "metrics.json").read_text()
            assert content == "new, and longer" or (content == "old" and instant.call != "done")
    assert len(disk.instants) > 4


def test_what_was_written_into_a_new_directory_stays(tmp_path, monkeypatch):
    disk = LosingDisk(tmp_path / "disk")
    with disk.watched(monkeypatch):
        with replacing(disk.root / "a" / "b" / "file.txt") as temporary:
            temporary.write_text("new")
        disk.mark("done")
    for left in disk.instants[-1].after_a_power_cut():
        with left.built(tmp_path / "left") as place:
            assert (place / "a/b/file.txt").read_text() == "new"


def test_a_directory_that_was_made_stays(tmp_path, monkeypatch):
    disk = LosingDisk(tmp_path / "disk")
    (disk.root / "there").mkdir()
    with disk.watched(monkeypatch):
        make_directory(disk.root / "there" / "a" / "b")
        make_directory(disk.root / "there" / "a")  # it may be there
        disk.mark("done")
    for left in disk.instants[-1].after_a_power_cut():
        with left.built(tmp_path / "left") as place:
            assert (place / "there/a/b").is_dir()


def test_a_path_in_the_directory_of_work_can_be_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_directory(Path("runs/a"))
    with replacing("file.txt") as temporary:
        temporary.write_text("here")
    assert (tmp_path / "runs/a").is_dir()
    assert (tmp_path / "file.txt").read_text() == "here"


def test_only_what_replacing_left_behind_is_unfinished(tmp_path):
    for name in (".config.yaml.123.tmp", ".precious.tmp", ".config.yaml.tmp", "config.yaml"):
        (tmp_path / name).touch()
    for name in (".notes.5.tmp", "config.yaml.123.tmp", ".config.yaml.12a.tmp"):
        (tmp_path / name).touch()
    found = unfinished(tmp_path, "config.yaml", "metrics.json")
    assert [path.name for path in found] == [".config.yaml.123.tmp"]


def test_what_a_kill_leaves_is_unfinished(tmp_path):
    with replacing(tmp_path / "a.json") as left:
        left.touch()
        assert unfinished(tmp_path, "a.json") == [left]
    assert unfinished(tmp_path, "a.json") == []
