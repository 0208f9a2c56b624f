"""Artifacts: stored once, found by name, and never outside of the run's directory."""

from __future__ import annotations

import json
import os

import pytest

from jaxtrain.errors import ConfigError, DataError, TrackingError
from jaxtrain.tracking.artifacts import Artifact, artifacts_of, find_artifact, log_artifact


@pytest.fixture
def file(tmp_path):
    def make(name, content):
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def model(*paths, name="classifier"):
    artifact = Artifact(name, "model", "what it is")
    for path in paths:
        artifact.add_file(path)
    return artifact


def test_plain_files_under_a_version_that_is_their_digest(run, file):
    logged = log_artifact(run, model(file("a", b"aaa"), file("b", b"bbb")), ["best"])
    assert logged.path == run / "artifacts" / "classifier" / logged.version
    assert {p.name: p.read_bytes() for p in logged.path.iterdir()} == {"a": b"aaa", "b": b"bbb"}
    assert set(logged.aliases) == {"best", "latest"}
    assert (logged.type, logged.description, logged.run) == ("model", "what it is", run)
    logged.verify()
    file("a", b"changed later")
    logged.verify()  # a copy, not the file itself


def test_the_same_twice_is_stored_once_and_aliases_move(run, file):
    first = log_artifact(run, model(file("a", b"aaa")), ["best"])
    second = log_artifact(run, model(file("a", b"bbb")))
    assert second.version != first.version
    again = log_artifact(run, model(file("a", b"aaa")))
    assert again.version == first.version
    assert sorted(p.name for p in (run / "artifacts/classifier").iterdir()) == sorted(
        [first.version, second.version]
    )
    aliases = {one.version: set(one.aliases) for one in artifacts_of(run)}
    assert aliases == {first.version: {"best", "latest"}, second.version: set()}
    assert [one.version for one in artifacts_of(run)] == [second.version, first.version]


def test_a_name_is_part_of_what_files_are(run, file):
    one = log_artifact(run, Artifact("m", "model").add_file(file("a", b"x"), "one"))
    two = log_artifact(run, Artifact("m", "model").add_file(file("a", b"x"), "two"))
    assert one.version != two.version


def test_equal_files_of_other_artifacts_are_one_file_on_the_disk(run, file):
    log_artifact(run, model(file("a", b"large"), name="one"))
    other = log_artifact(run, model(file("b", b"large"), file("c", b"large"), name="two"))
    stats = {p.stat().st_ino for p in (run / "artifacts").rglob("[abc]")}
    assert len(stats) == 1
    assert (other.path / "b").stat().st_mode & 0o222 == 0


def test_a_stored_file_that_was_changed_is_not_linked_to(run, file):
    first = log_artifact(run, model(file("a", b"large"), name="one"))
    (first.path / "a").chmod(0o644)
    (first.path / "a").write_bytes(b"LARGE")
    second = log_artifact(run, model(file("a", b"large"), name="two"))
    second.verify()
    with pytest.raises(DataError, match=r"one.*was changed"):
        first.verify()


def test_what_somebody_has_damaged_is_stored_anew(run, file):
    path = file("a", b"large")
    first = log_artifact(run, model(path))
    (first.path / "a").chmod(0o644)
    (first.path / "a").write_bytes(b"LARGE")
    again = log_artifact(run, model(path))
    again.verify()
    assert again.version == first.version


def test_behind_a_torn_index(run, file):
    log_artifact(run, model(file("a", b"1")))
    with (run / "artifacts/index.jsonl").open("ab") as stream:
        stream.write(b'{"torn')
    second = log_artifact(run, model(file("a", b"2")))
    assert len(artifacts_of(run)) == 2
    assert artifacts_of(run)[-1] == second


def test_a_link_below_artifacts_is_none_of_them(run, file, tmp_path):
    logged = log_artifact(run, model(file("a", b"1")))
    log_artifact(run, model(file("a", b"2"), name="other"))
    (run / "artifacts/other").rename(tmp_path / "away")
    (run / "artifacts/other").symlink_to(tmp_path / "away")
    assert artifacts_of(run) == [logged]


def test_directories_under_their_paths(run, file):
    top = file("tree/x/a.txt", b"1").parents[1]
    file("tree/b.txt", b"2")
    logged = log_artifact(run, Artifact("d", "data").add_directory(top, "in/here"))
    assert sorted(logged.files) == ["in/here/b.txt", "in/here/x/a.txt"]
    assert (logged.path / "in/here/x/a.txt").read_bytes() == b"1"


def test_found_by_alias_and_version_the_newest_of_all_runs(tmp_path, file, monkeypatch):
    runs = [tmp_path / name for name in ("r1", "r2")]
    logged = []
    for number, run in enumerate(runs):
        run.mkdir()
        logged.append(log_artifact(run, model(file("a", bytes([number]))), ["best"]))
    for order in (runs, runs[::-1]):
        assert find_artifact(order, "classifier") == logged[1]
        assert find_artifact(order, "classifier:latest") == logged[1]
        assert find_artifact(order, f"classifier:{logged[0].version}") == logged[0]
    with pytest.raises(ConfigError, match="there are: classifier:best, classifier:latest"):
        find_artifact(runs, "classifier:worst")
    with pytest.raises(ConfigError, match="none at all"):
        find_artifact([], "classifier")
    (logged[1].path / "a").unlink()
    with pytest.raises(DataError, match="is missing"):
        find_artifact(runs, "classifier")


@pytest.mark.parametrize(
    "bad",
    ["../up", "/etc/passwd", "a/../../b", "%2e%2e/a", "a\\b", "a#b", "a?b", "a\0b", "", "a//b"],
)
def test_names_that_lead_elsewhere(run, file, bad):
    path = file("a", b"1")
    with pytest.raises(ConfigError):
        Artifact("m", "model").add_file(path, bad)
    with pytest.raises(ConfigError):
        log_artifact(run, model(path), [bad])
    for reference in (f"m:{bad}" if bad else "", f"{bad}:latest"):
        with pytest.raises(ConfigError):
            find_artifact([run], reference)
    if "/" not in bad or bad.startswith(("/", ".")):
        with pytest.raises(ConfigError):
            Artifact(bad, "model")
        with pytest.raises(ConfigError):
            Artifact("m", bad)


def test_an_index_that_somebody_edited_leads_nowhere(run, file):
    logged = log_artifact(run, model(file("a", b"1")))
    index = run / "artifacts/index.jsonl"
    row = json.loads(index.read_text())
    hostile = [
        {**row, "version": "../../.."},
        {**row, "name": "../x"},
        {**row, "files": {"../../secret": "0"}},
        {**row, "aliases": "latest"},
        {**row, "aliases": [3]},
        {"name": "classifier"},
    ]
    with index.open("a") as stream:
        stream.writelines(json.dumps(bad) + "\n" for bad in hostile)
        stream.write('{"torn')
    assert artifacts_of(run) == [logged]


def test_a_link_in_the_place_of_the_artifact(run, file, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (run / "artifacts").mkdir()
    (run / "artifacts/classifier").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="leads out"):
        log_artifact(run, model(file("a", b"1")))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_can_not_be_added(run, file, tmp_path):
    path = file("d/a", b"1")
    with pytest.raises(ConfigError, match="no such file"):
        Artifact("m", "model").add_file(tmp_path / "none")
    with pytest.raises(ConfigError, match="already"):
        model(path).add_file(path)
    with pytest.raises(ConfigError, match="no such directory"):
        Artifact("m", "model").add_directory(path)
    (path.parent / "link").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="symbolic link"):
        Artifact("m", "model").add_directory(path.parent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no file"):
        Artifact("m", "model").add_directory(tmp_path / "empty")
    with pytest.raises(TrackingError, match="holds no file"):
        log_artifact(run, Artifact("m", "model"))
    for name in ("index.jsonl", "used.jsonl"):
        with pytest.raises(ConfigError, match="name of a list"):
            Artifact(name, "model")
    with pytest.raises(ConfigError, match="expected a list, found 'best'"):
        log_artifact(run, model(path), "best")
    assert not (run / "artifacts").exists()


def test_what_a_kill_left_half_stored_is_stored_anew(run, file):
    path = file("a", b"1")
    logged = log_artifact(run, model(path))
    half = logged.path.with_name(f".{logged.version}.999999.tmp")
    os.rename(logged.path, half)
    (half / "more").write_bytes(b"half")
    again = log_artifact(run, model(path))
    again.verify()
    assert [p.name for p in again.path.parent.iterdir()] == [again.version]
