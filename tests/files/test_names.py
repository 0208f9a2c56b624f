from pathlib import Path

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.files.names import check_name, inside, refuse_links
from jaxtrain.run import make_config
from jaxtrain.run.directory import RunDirectory

BAD = ["", ".", "..", "../a", "/a", "a/b", "a\\b", "%2e", "a#", "a?", "a\0", "a\n", "-a", "x" * 65]


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_name_is_refused_and_shown(name):
    with pytest.raises(ConfigError) as raised:
        check_name(name, what="project")
    assert str(raised.value).startswith(f"project: {name!r} can't be a name")
    with pytest.raises(ConfigError):
        inside(Path("runs"), "digits", name)


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "seed0-1a2b3c4d", "x" * 64])
def test_names(name):
    assert check_name(name, what="project") == name
    assert inside(Path("runs"), name, "b") == Path("runs") / name / "b"


def test_a_link_out_of_the_root_is_refused(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/digits").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="a symbolic link leads out of"):
        inside(tmp_path / "runs", "digits", "run")


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    assert inside(tmp_path / "runs", "digits") == tmp_path / "runs/digits"


def test_a_project_that_is_a_link_holds_no_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/digits").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leads out of runs"):
        RunDirectory.of(make_config({"project": "digits"}))


def test_links_are_found(tmp_path):
    (tmp_path / "file").touch()
    refuse_links(tmp_path)
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(ConfigError, match=r"link: is a symbolic link, to file"):
        refuse_links(tmp_path)
