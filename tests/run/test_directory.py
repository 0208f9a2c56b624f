"""The directory of a run: held by one, and only for the run that is in it."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run.directory import RunDirectory, run_id


def test_only_the_object_that_holds_it_may_write(digits, tmp_path):
    config = digits()
    mine, other = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    assert not mine.is_held
    with mine.held(config):
        assert mine.is_held
        assert not other.is_held
        with pytest.raises(ConfigError), other.held(config):
            pass
        assert not other.is_held
    assert not mine.is_held
    with pytest.raises(ZeroDivisionError), mine.held(config):
        raise ZeroDivisionError
    assert not mine.is_held


def test_another_run_is_refused_with_what_differs_and_what_to_do(digits, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.held(digits("metrics=[loss]")):
        pass
    before = (directory / "config.yaml").read_bytes()
    other = digits("metrics=[loss, accuracy]", "seed=5", "hooks.csv=null")
    with pytest.raises(ConfigError) as raised, directory.held(other):
        pass
    said = str(raised.value)
    assert "seed: 0 in config.yaml, 5 now" in said
    assert "metrics.accuracy: (not set) in config.yaml" in said
    assert "hooks" not in said  # free to change
    assert "another workdir" in said
    assert "--" not in said  # the room does not know the command line
    assert (directory / "config.yaml").read_bytes() == before


def test_the_metrics_of_a_run_are_part_of_its_name(digits):
    names = {
        run_id(digits(*overrides))
        for overrides in (
            [],
            ["metrics=[loss]"],
            ["metrics=[loss, accuracy]"],
            ["metrics=[loss, {name: accuracy, top_k: 3}]"],
            ["metrics=[]"],
        )
    }
    assert len(names) == 5
    assert run_id(digits("metrics=[loss]")) == run_id(digits("metrics={loss: {}}"))


def test_other_files_are_left_alone(digits, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(ConfigError, match=r"found other files \(notes.txt\); choose another"),
        RunDirectory(tmp_path).held(digits()),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_whether_it_may_be_used_can_be_asked_without_touching_it(digits, tmp_path):
    """Finding C26: `plan` did not look at what stands there."""
    directory = RunDirectory(tmp_path / "run")
    directory.refuse_others(digits())
    assert not directory.path.exists()
    with directory.held(digits()):
        pass
    before = sorted((path, path.stat().st_mtime_ns) for path in directory.path.iterdir())
    directory.refuse_others(digits("hooks.csv=null"))
    with pytest.raises(ConfigError, match=r"seed: 0 in config\.yaml, 5 now"):
        directory.refuse_others(digits("seed=5"))
    assert before == sorted((path, path.stat().st_mtime_ns) for path in directory.path.iterdir())


def state_of(root) -> dict:
    """Every name below, with its bytes and times."""
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in (root, *root.rglob("*"))
    }


@pytest.mark.parametrize("strange", [".precious.tmp", ".config.yaml.tmp", "notes.txt", "metrics"])
def test_a_directory_with_a_file_of_somebody_else_is_refused_untouched(digits, tmp_path, strange):
    """At 888f0db `.precious.tmp` passed for something half written, and was deleted."""
    (tmp_path / strange).write_text("mine")
    before = state_of(tmp_path)
    with (
        pytest.raises(ConfigError, match="found other files"),
        RunDirectory(tmp_path).held(digits()),
    ):
        pass
    assert state_of(tmp_path) == before


def test_only_what_a_run_writes_itself_is_swept(digits, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.held(digits()):
        pass
    others = [".precious.tmp", ".notes.txt.12.tmp", ".config.yaml.tmp", "metrics.jsonl.3.tmp"]
    own = [".config.yaml.12.tmp", ".metrics.jsonl.3.tmp", ".learning_curves.png.9.tmp"]
    for name in (*others, *own):
        (directory / name).touch()
    (directory / ".metrics.json.5.tmp").mkdir()
    with directory.held(digits()):
        pass
    left = {path.name for path in directory.path.iterdir()}
    assert left == {*others, ".metrics.json.5.tmp", ".lock", "config.yaml"}


def test_what_a_kill_left_of_a_beginning_is_no_reason_to_refuse(digits, tmp_path):
    (tmp_path / ".config.yaml.77.tmp").write_text("half")
    (tmp_path / ".lock").write_text('{"pid": 77}')
    with RunDirectory(tmp_path).held(digits()):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "config.yaml"}


def test_one_that_is_locked_is_not_touched_before_it_is_claimed(digits, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.held(digits()):
        pass
    before = state_of(tmp_path)
    with directory.locked():
        assert not directory.is_held
        assert state_of(tmp_path) == before
    assert state_of(tmp_path) == before
    with directory.locked():
        directory.claim(digits())
        assert directory.is_held
    assert not directory.is_held


def test_two_that_begin_at_once_are_told_apart_under_the_lock(digits, tmp_path, monkeypatch):
    """Both found nothing there; the second gets the lock when the first has ended."""
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    second.refuse_others(digits("seed=2"))
    with first.held(digits("seed=1")):
        second.refuse_others(digits("seed=1"))
        with pytest.raises(ConfigError, match="in use by process"), second.locked():
            pass
        with pytest.raises(ConfigError, match=r"seed: 1 in config\.yaml, 2 now"):
            second.refuse_others(digits("seed=2"))
    refuse, calls = RunDirectory.refuse_others, []

    def late(self, config):  # the first look was before there was anything
        calls.append(1)
        if len(calls) > 1:
            refuse(self, config)

    monkeypatch.setattr(RunDirectory, "refuse_others", late)
    before = state_of(tmp_path)
    with pytest.raises(ConfigError, match="seed: 1"), second.held(digits("seed=2")):
        pass
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("kind", ["a file", "a link to nowhere"])
def test_what_is_no_directory_is_refused(digits, tmp_path, kind):
    path = tmp_path / "run"
    path.touch() if kind == "a file" else path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="expected a directory"):
        RunDirectory(path).refuse_others(digits())
    assert [one.name for one in tmp_path.iterdir()] == ["run"]
