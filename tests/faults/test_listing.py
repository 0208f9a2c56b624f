"""`checkpoints WORKDIR`: which checkpoint would be used, and why the others would not."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def run(runs, tmp_path):
    """A stopped run with a good, a damaged, a half-written and a link of a checkpoint."""
    assert runs.run("run", [["interrupt_at", {"iteration": 14}]]) == 75
    checkpoints = tmp_path / "run/checkpoints"
    assert runs.checkpoints("run") == ["00000009", "00000012", "00000014"]
    meta = checkpoints / "00000014/meta.json"
    meta.write_bytes(meta.read_bytes().replace(b"2", b"3", 1))
    shutil.copytree(checkpoints / "00000012", checkpoints / ".tmp-00000016")
    (checkpoints / ".bad").mkdir()
    shutil.copytree(checkpoints / "00000014", checkpoints / ".bad/00000014")
    return tmp_path / "run"


def snapshot(directory) -> dict:
    return {
        str(path.relative_to(directory)): (path.read_bytes() if path.is_file() else None)
        for path in directory.rglob("*")
    }


def test_it_says_what_would_be_used_and_why_the_rest_would_not_and_changes_nothing(runs, run):
    before = snapshot(run)
    code, said = runs.command("checkpoints", str(run))
    assert code == 0, said
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert "good: best" in lines["00000009"]  # at the end of an epoch: it has a val/loss
    assert "good: resume" in lines["00000012"]
    assert "meta.json: the contents do not match their digest" in lines["00000014"]
    assert "half-written" in lines[".tmp-00000016"]
    assert "set aside" in said
    assert "training would go on from 00000012, the newest good one" in said
    assert "evaluation would use 00000009, the best good one" in said
    assert snapshot(run) == before


def test_what_it_says_is_what_happens(runs, run, whole):
    """And evaluating moves nothing either."""
    before = snapshot(run)
    code, said = runs.command("evaluate", "--checkpoint", str(run))
    assert code == 0, said
    assert "checkpoints/00000009" in said
    assert snapshot(run) == before
    runs.finish("run", whole)
    assert "continuing after iteration 12" in runs.said("run")


def test_all_bad_is_exit_4(runs, run):
    for name in ("00000009", "00000012"):
        (run / "checkpoints" / name / "manifest.sha256").unlink()
    code, said = runs.command("checkpoints", str(run))
    assert code == 4
    assert said.count("manifest.sha256: can't be read") == 2
    assert "none can be used" in said


def test_where_there_is_no_run_is_exit_2(runs, tmp_path):
    code, said = runs.command("checkpoints", str(tmp_path))
    assert code == 2
    assert "expected a run directory, found no config.yaml in it" in said
    assert runs.command("checkpoints")[0] == 2
