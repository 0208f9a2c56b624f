from pathlib import Path

import pytest

from jaxtrain.data.place import is_there, place_of
from jaxtrain.errors import ConfigError


def test_a_path_and_what_can_not_be_one(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place_of("~/birds", key="data.root") == tmp_path / "birds"
    assert place_of("-a b/ç", key="data.root") == Path("-a b/ç")
    for wrong in ("", "a\0b", "~no_such_user/x"):
        with pytest.raises(ConfigError, match=r"data\.root: "):
            place_of(wrong, key="data.root")


def test_whether_something_is_there(tmp_path):
    assert is_there(tmp_path)
    assert not is_there(tmp_path / "x")
    with pytest.raises(ConfigError, match="can't be looked at"):
        is_there(tmp_path / ("x" * 300))
