"""A directory is there whole or not at all, and in nobody's place."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.files import new_directory


def test_it_gets_its_name_when_all_is_in_it(tmp_path):
    target = tmp_path / "a" / "b"
    with new_directory(target) as temporary:
        (temporary / "one").write_text("1")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert (target / "one").read_text() == "1"
    assert [path.name for path in target.parent.iterdir()] == ["b"]


def test_an_empty_one_is_filled(tmp_path):
    (tmp_path / "b").mkdir()
    with new_directory(tmp_path / "b") as temporary:
        (temporary / "one").write_text("1")
    assert (tmp_path / "b" / "one").is_file()


def test_nothing_is_left_of_a_block_that_raises(tmp_path):
    def failing():
        with new_directory(tmp_path / "b") as temporary:
            (temporary / "one").write_text("1")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        failing()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link", "full"])
def test_what_is_there_is_not_touched(tmp_path, kind):
    target = tmp_path / "b"
    if kind == "file":
        target.write_text("mine")
    elif kind == "link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="b: expected no such path"), new_directory(target):
        pytest.fail("the block was entered")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def test_what_comes_meanwhile_stays(tmp_path):
    def raced():
        with new_directory(tmp_path / "b") as temporary:
            (temporary / "one").write_text("1")
            (tmp_path / "b").mkdir()
            (tmp_path / "b" / "theirs").write_text("2")

    with pytest.raises(OSError, match="not empty"):
        raced()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["theirs"]
