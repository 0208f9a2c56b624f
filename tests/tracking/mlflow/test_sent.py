"""sync.json: only what is true, for each server."""

from __future__ import annotations

import json

import pytest

from jaxtrain import tracking
from jaxtrain.tracking.mlflow import is_sent
from jaxtrain.tracking.mlflow.files import files_of, signature
from jaxtrain.tracking.mlflow.sent import FILE_NAME, Sent

HERE, THERE = "http://anna:secret@here:1", "http://there:1"


def test_each_server_has_its_own_and_no_password(tmp_path):
    one, other = Sent("a", 3, "d", {"f": (1, 2)}, 0, "completed"), Sent("b")
    one.write(tmp_path, HERE)
    other.write(tmp_path, THERE)
    assert Sent.read(tmp_path, HERE) == one
    assert Sent.read(tmp_path, THERE) == other
    assert "secret" not in (tmp_path / FILE_NAME).read_text()
    Sent.forget(tmp_path, HERE)
    assert Sent.read(tmp_path, HERE) is None
    assert Sent.read(tmp_path, THERE) == other


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "[" * 10**5,
        '{"http://there:1": 3}',
        '{"http://there:1": {"bytes": "x"}}',
        '{"http://there:1": {"other": 1}}',
        '{"http://there:1": {"files": {"a": [1]}}}',
        '{"http://there:1": {"files": [1]}}',
        '{"http://there:1": {"run_id": 3}}',
    ],
)
def test_a_broken_one_says_nothing(tmp_path, content):
    (tmp_path / FILE_NAME).write_text(content)
    assert Sent.read(tmp_path, THERE) is None
    Sent.forget(tmp_path, THERE)
    Sent("b").write(tmp_path, THERE)
    assert Sent.read(tmp_path, THERE) == Sent("b")


def test_a_run_is_sent_when_nothing_of_it_is_another(tmp_path):
    with tracking.run("digits", "sent", root=tmp_path) as run:
        run.log({"loss": 1.0})
        assert not is_sent(run.record, THERE)
        _all_of(run.record).write(run.directory, THERE)
        assert not is_sent(run.record, THERE)  # it goes on
    assert not is_sent(run.record, THERE)
    _all_of(run.record).write(run.directory, THERE)
    assert is_sent(run.record, THERE)
    assert not is_sent(run.record, HERE)
    (run.directory / "x.png").write_text("")
    assert not is_sent(run.record, THERE)
    (run.directory / "x.png").unlink()
    assert is_sent(run.record, THERE)
    with (run.directory / "metrics.jsonl").open("a") as stream:
        stream.write("{}\n")
    assert not is_sent(run.record, THERE)
    _all_of(run.record).write(run.directory, THERE)
    assert is_sent(run.record, THERE)
    metadata = run.directory / "metadata.json"
    metadata.write_text(json.dumps({**run.record.metadata, "status": "interrupted"}))
    changed = _all_of(run.record)
    changed.status = "completed"
    changed.write(run.directory, THERE)
    assert not is_sent(run.record, THERE)


def _all_of(record):
    files = {name: signature(record.path / name) for name in files_of(record)}
    size = (record.path / "metrics.jsonl").stat().st_size
    return Sent("id", size, "digest", files, 0, record.status)
