"""metadata.json."""

from __future__ import annotations

import json
import os
import sys

import jax
import pytest

from jaxtrain.errors import TrackingError
from jaxtrain.tracking import write_metadata
from jaxtrain.tracking.metadata import git_revision


def test_who_where_and_with_what(tmp_path):
    write_metadata(tmp_path, "running", project="p", config={"a": {"b": 1}}, tags=["t"], seed=3)
    found = json.loads((tmp_path / "metadata.json").read_text())
    assert found["status"] == "running"
    assert (found["project"], found["tags"], found["config"]) == ("p", ["t"], {"a": {"b": 1}})
    assert (found["pid"], found["command"], found["seed"]) == (os.getpid(), sys.argv, 3)
    assert found["environment"]["jax"] == jax.__version__


def test_what_json_does_not_have_leaves_the_old_file(tmp_path):
    write_metadata(tmp_path, "running", project="p", config={})
    before = (tmp_path / "metadata.json").read_bytes()
    with pytest.raises(TrackingError, match=r"metadata.json: .*not JSON serializable"):
        write_metadata(tmp_path, "running", project="p", config={"a": object()})
    assert (tmp_path / "metadata.json").read_bytes() == before


def test_no_revision_where_there_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None
    monkeypatch.setenv("PATH", "")
    assert git_revision() is None


def test_what_was_given_when_it_was_begun_stays(tmp_path):
    found = []
    for status in ("running", "completed"):
        write_metadata(tmp_path, status, project="p", config={})
        record = json.loads((tmp_path / "metadata.json").read_text())
        found.append((record["uid"], record["started"]))
    assert found[0] == found[1]
    (tmp_path / "metadata.json").write_text("{broken")
    write_metadata(tmp_path, "running", project="p", config={})
    assert json.loads((tmp_path / "metadata.json").read_text())["uid"] != found[0][0]
