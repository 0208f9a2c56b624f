"""Paths that a person typed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.files import typed_directory
from jaxtrain.files.paths import is_there, typed_path


@pytest.mark.parametrize("text", ["runs/a", "./null", "a b/ü", "..", "runs/" + "x" * 255])
def test_what_can_be_a_directory_is_one(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    assert typed_directory(text, what="workdir") == Path(text)
    assert list(tmp_path.iterdir()) == []


def test_the_users_home_is_written_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed_directory("~/a", what="workdir") == tmp_path / "a"
    assert typed_directory("~root/a", what="workdir") == Path("~root").expanduser() / "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' can't be a path"),
        ("a\0b", r"'a\\x00b' can't be a path"),
        ("~nobody-is-called-so/x", "~nobody-is-called-so has no home directory that is known"),
        ("\udcff", r"'\\udcff' is not valid UTF-8"),
        ("x" * 256, "can't be used: File name too long"),
        ("file/a", "can't be used: Not a directory"),
        ("loop/a", "can't be used: Too many levels of symbolic links"),
    ],
)
def test_what_can_not_be_one_is_refused_at_once(tmp_path, monkeypatch, text, said):
    """C13, C21, C24: '' was the default; the others came out as tracebacks, or after training."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match=f"^workdir: .*{said}"):
        typed_directory(text, what="workdir")


def test_there_must_be_room_for_the_files_in_it(tmp_path):
    """A path may be short enough itself, and those of a checkpoint too long."""
    deep = str(tmp_path) + "/x" * ((os.pathconf("/", "PC_PATH_MAX") - len(str(tmp_path))) // 2 - 20)
    with pytest.raises(ConfigError, match="File name too long"):
        typed_directory(deep, what="workdir")
    assert typed_directory(deep[:-200], what="workdir") == Path(deep[:-200])


def test_a_path_need_not_be_a_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed_path("~/birds", what="data.root") == tmp_path / "birds"
    assert typed_path("-a b/ç", what="data.root") == Path("-a b/ç")
    for wrong in ("", "a\0b", "~no_such_user/x"):
        with pytest.raises(ConfigError, match=r"data\.root: "):
            typed_path(wrong, what="data.root")


def test_whether_something_is_there(tmp_path):
    assert is_there(tmp_path)
    assert not is_there(tmp_path / "x")
    with pytest.raises(ConfigError, match="can't be looked at"):
        is_there(tmp_path / ("x" * 300))
