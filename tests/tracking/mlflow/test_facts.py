"""What a run is, in MLflow's terms. Through a server: tests/tracking/mlflow/test_sending.py."""

from __future__ import annotations

import json
import os

import pytest

from jaxtrain.tracking import RunRecord
from jaxtrain.tracking.mlflow.facts import (
    began_of,
    cut_tags,
    ending_of,
    key_of,
    params_of,
    tags_of,
)


@pytest.fixture
def record(tmp_path):
    """record(**metadata), in a directory `first` or `name`."""

    def make(name="first", **metadata):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "metadata.json").write_text(json.dumps({"project": "digits", **metadata}))
        return RunRecord.read(directory)

    return make


def test_a_run_is_known_by_its_number_wherever_it_lies(record):
    keys = {key_of(record(uid="a")), key_of(record(uid="b")), key_of(record())}
    assert len(keys) == 3
    moved = record("second", uid="a", project="other", started="x", status="completed", host="y")
    assert key_of(moved) == key_of(record(uid="a"))
    # One of an earlier version has none.
    assert key_of(record("second")) != key_of(record())


def test_a_config_is_flattened_and_no_two_keys_become_one(record):
    config = {"a": {"b": 1, "c": {}}, "a.b": 2, "d": [1, {"e": None}], "f": "text", "g": True}
    params, cut = params_of(record(config=config))
    dotted = [key for key in params if key.startswith("a.b-")]
    assert len(dotted) == 1
    assert params == {
        "a.b": "1",
        dotted[0]: "2",
        "a.c": "{}",
        "d": '[1, {"e": null}]',
        "f": "text",
        "g": "true",
    }
    assert cut == []
    assert params_of(record()) == ({}, [])


@pytest.mark.parametrize(("length", "is_cut"), [(6000, False), (6001, True)])
def test_a_long_value_is_cut_and_named(record, length, is_cut):
    params, cut = params_of(record(config={"long": "x" * length}))
    assert len(params["long"]) == 6000
    assert cut == (["long"] if is_cut else [])
    assert params["long"].endswith("…") == is_cut


def test_tags_say_what_it_calls_itself(record):
    tags = tags_of(record(tags=["a", 'b"'], host="here", git_revision=None, status="completed"))
    assert tags.pop("jaxtrain.key")
    assert tags == {
        "jaxtrain.run": "digits/first",
        "jaxtrain.status": "completed",
        "jaxtrain.tags": '["a", "b\\""]',
        "jaxtrain.host": "here",
    }
    assert tags_of(record(git_revision="abc"))["mlflow.source.git.commit"] == "abc"
    many = record(tags=["x" * 100] * 60)
    assert len(tags_of(many)["jaxtrain.tags"]) <= 5000
    assert cut_tags(many) == 12
    assert cut_tags(record(tags=["a"])) == 0


def test_when_it_began_and_how_it_ended(record):
    times = {"started": "2026-01-01T00:00:01.500+00:00", "time": "2026-01-01T00:01:00+00:00"}
    first = 1767225601500
    assert began_of(record(**times)) == first
    assert ending_of(record(**times, status="completed")) == ("FINISHED", first + 58_500)
    assert ending_of(record(**times, status="interrupted"))[0] == "KILLED"
    assert ending_of(record(**times, status="failed: x: running"))[0] == "FAILED"
    # One that says it is running and that nobody has: as far as its last row.
    killed = record(**times, status="running")
    assert ending_of(killed) == ("KILLED", first + 58_500)
    rows = killed.path / "metrics.jsonl"
    rows.write_text("")
    os.utime(rows, (1767225700, 1767225700))
    assert ending_of(killed) == ("KILLED", 1767225700_000)
    os.utime(rows, (5, 5))
    assert ending_of(killed) == ("KILLED", first)


def test_one_that_does_not_say_when_began_when_it_was_written_down(record):
    assert began_of(record(time="2026-01-01T00:00:00")) == 1767225600_000
    found = record(started="soon", time=3)
    assert began_of(found) == int((found.path / "metadata.json").stat().st_mtime * 1000)
