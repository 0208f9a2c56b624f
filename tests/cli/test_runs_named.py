"""Which run a word means, and which word means a run."""

from __future__ import annotations

import json

import pytest

from jaxtrain.cli.runs_named import handles, meant, newest_first
from jaxtrain.errors import ConfigError
from jaxtrain.tracking import RunRecord, find_runs, one_run


def make(root, *names, time="2026-07-01T00:00:00+00:00", project=None):
    for name in names:
        (root / name).mkdir(parents=True)
        said = {"status": "completed", "time": time, **({"project": project} if project else {})}
        (root / name / "metadata.json").write_text(json.dumps(said))


def found(text, root):
    return str(meant(text, root).path.relative_to(root))


def test_a_path_an_id_or_its_beginning(tmp_path):
    make(tmp_path, "birds/seed0-1a2b", "birds/seed1-1a2b", "cats/seed0-9f")
    assert found(str(tmp_path / "cats/seed0-9f"), tmp_path) == "cats/seed0-9f"
    assert found("seed0-9f", tmp_path) == found("seed0-9", tmp_path) == "cats/seed0-9f"
    assert found("birds/seed1", tmp_path) == found("seed1", tmp_path) == "birds/seed1-1a2b"
    with pytest.raises(ConfigError, match=r"'seed0' could be .*birds/seed0-1a2b or .*cats/seed0"):
        meant("seed0", tmp_path)
    with pytest.raises(ConfigError, match=r"'seed0-1a2c': no run .*did you mean 'seed0-1a2b'"):
        meant("seed0-1a2c", tmp_path)


def test_nothing_means_no_run(tmp_path, monkeypatch):
    """The beginning of every id is ''."""
    make(tmp_path, "birds/only")
    monkeypatch.chdir(tmp_path / "birds/only")
    with pytest.raises(ConfigError, match="expected a run"):
        meant("", tmp_path)
    for text in ("", "x\0"):
        with pytest.raises(ConfigError, match="no run"):
            one_run(text, tmp_path)


def test_two_runs_of_one_name_are_two(tmp_path):
    """The one found later hid the other: `rm` would have had the wrong one."""
    make(tmp_path, "old/a", "new/a", project="birds")
    with pytest.raises(ConfigError, match=r"could be .*new/a or .*old/a"):
        meant("birds/a", tmp_path)
    records = list(find_runs(tmp_path))
    assert handles(records) == [(str(r.path), str(r.path)) for r in records]


def test_many_that_could_be_meant_are_counted(tmp_path):
    make(tmp_path, *(f"birds/a{number}" for number in range(11)))
    with pytest.raises(ConfigError, match="or one of 3 more"):
        meant("a", tmp_path)


def test_the_newest(tmp_path):
    with pytest.raises(ConfigError, match="latest: there is no run"):
        meant("latest", tmp_path)
    make(tmp_path, "birds/a", time="2026-07-01T10:00:00+02:00")
    make(tmp_path, "birds/b", time="2026-07-01T09:00:00+00:00")
    make(tmp_path, "birds/c", time="yesterday")
    assert found("latest", tmp_path) == "birds/b"
    assert [run.id for run in newest_first(list(find_runs(tmp_path)))] == ["b", "a", "c"]
    make(tmp_path, "birds/latest", time="2026-06-01T09:00:00+00:00")
    assert found("latest", tmp_path) == "birds/b"
    assert found("birds/latest", tmp_path) == "birds/latest"


def test_broken_runs_are_found_as_what_they_are(tmp_path):
    make(tmp_path, "birds/torn", "birds/good")
    (tmp_path / "birds/torn/metadata.json").write_text("[1]")
    (tmp_path / "birds/begun").mkdir()
    (tmp_path / "birds/begun/config.yaml").touch()
    (tmp_path / "birds/notes").mkdir()
    assert meant("torn", tmp_path).status == "broken: metadata.json is torn, or no JSON"
    assert meant("begun", tmp_path).status == "broken: there is no metadata.json"
    assert meant(str(tmp_path / "birds/begun"), tmp_path).fault
    assert [run.id for run in find_runs(tmp_path)] == ["good"]
    assert [run.id for run in find_runs(tmp_path, broken=True)] == ["begun", "good", "torn"]


def test_the_runs_of_phases_are_found_and_their_directory_is_no_run(tmp_path):
    make(tmp_path, "birds/seed0/base", "birds/seed0/phases/1-korean")
    (tmp_path / "birds/seed0/config.yaml").touch()
    assert [r.id for r in find_runs(tmp_path, broken=True)] == ["base", "1-korean"]


def test_handles_are_short_and_mean_the_run(tmp_path):
    ids = ["seed0-1a2b3c4d", "seed0-1a2b9999", "seed1-00000000", "seed1", "b", "birds-1", "latest"]
    make(tmp_path, *(f"birds/{name}" for name in ids), "cats/b", "seed1-x/a-long-name")
    records = list(find_runs(tmp_path))
    for record, pair in zip(records, handles(records), strict=True):
        for handle in pair:
            assert meant(handle, tmp_path).path == record.path
    short = {record.id: pair[1] for record, pair in zip(records, handles(records), strict=True)}
    assert short["seed0-1a2b3c4d"] == "seed0-1a2b3"
    assert short["seed1-00000000"] == "seed1-0"
    assert short["a-long-name"] == "a-long"
    assert {pair[0] for pair in handles(records)} >= {"birds/b", "cats/b", "birds/latest"}


def test_a_short_handle_is_not_the_word_for_the_newest(tmp_path):
    make(tmp_path, "birds/latest-run", time="2026-06-01T09:00:00+00:00")
    make(tmp_path, "birds/newer")
    assert handles(list(find_runs(tmp_path)))[0] == ("latest-run", "latest-run")


def test_what_is_no_path_among_media_is_no_medium(tmp_path):
    make(tmp_path, "birds/a")
    rows = [
        {"kind": "image", "name": "a", "step": 1, "file": file}
        for file in ("media/\0", f"media/{'x' * 5000}", "../a", "media")
    ]
    (tmp_path / "birds/a/media.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert RunRecord.read(tmp_path / "birds/a").media == []
