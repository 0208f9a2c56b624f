from pathlib import Path

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.files.names import check_name
from jaxtrain.run.beginning.beginning import project_of, shown, where_from, written


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("birds", "birds"),
        ("data/my birds.npz", "my_birds"),
        ("-rf", "rf"),
        ("пингвины", "fallback"),
        ("'; rm -rf ~", "rm_-rf"),
        ("x" * 300, "x" * 64),
        ("..", None),
        (".", None),
    ],
)
def test_a_project_is_named_after_its_data(path, name, tmp_path, monkeypatch):
    inner = tmp_path / "deep down" / "here"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    found = project_of(Path(path), "fallback")
    assert found == (name or {"..": "deep_down", ".": "here"}[path])
    check_name(found, what="a project")


def test_paths_as_a_config_says_them():
    assert written(Path("a b/ç'\"")) == "a b/ç'\""
    with pytest.raises(ConfigError, match="not UTF-8"):
        written(Path("a\udcff"))
    assert "data.root is 'a'" in where_from(Path("a"))
    assert where_from(Path("/a")) == where_from(Path("~/a")) == ""


def test_what_a_terminal_would_obey_is_spelt_out():
    assert shown("größe [red]") == "größe [red]"
    assert "\x1b" not in shown("a\x1b[31m")
