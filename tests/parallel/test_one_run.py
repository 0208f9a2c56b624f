"""A run of two processes: the first writes, and both refuse what one refuses."""

from __future__ import annotations

import json

import pytest

from jaxtrain.files import lock
from jaxtrain.hooks import read_rows
from tests.processes import run_together
from tests.small_run import write_config

SCRIPT = "tests/parallel/one_run.py"


def run_two(config, workdir, *words):
    mesh = "--config.mesh.data=-1"
    return run_together(SCRIPT, 2, "--config", config, "--workdir", workdir, mesh, *words)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "config.json"
    return write_config(path, data={"batch_size": 300}, hooks={"csv": {}})


@pytest.fixture(scope="module")
def trained(config):
    """A run of two, and what each has said."""
    workdir = config.parent / "run"
    return workdir, run_two(config, workdir)


def test_the_first_writes_and_tells_and_the_other_does_not(trained):
    workdir, (first, second) = trained
    assert first.splitlines()[-1] == second.splitlines()[-1] == "code 0"
    for said in ("run: ", "test: ", "report: "):
        assert said in first
        assert said not in second
    rows, faults = read_rows(workdir / "metrics.jsonl")
    assert not faults
    rows = [row for row in rows if row["event"] == "iteration"]
    assert [row["iteration"] for row in rows] == list(range(1, 11))
    assert len((workdir / "metrics.csv").read_text().splitlines()) == 3
    assert json.loads((workdir / "metadata.json").read_bytes())["status"] == "completed"
    assert (workdir / "report.html").exists()
    assert (workdir / "metrics.json").exists()


def test_who_goes_on_with_a_run_that_is_over_has_nothing_to_do(config, trained):
    workdir, _ = trained
    before = {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file() and p.name != ".lock"}
    said = run_two(config, workdir)
    assert [text.splitlines()[-1] for text in said] == ["code 0"] * 2
    assert {p: p.read_bytes() for p in before} == before


def test_what_the_first_refuses_both_do(config, tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    with lock.lock(workdir) as introduce:
        introduce()
        first, second = run_two(config, workdir)
    assert first.splitlines()[-1] == second.splitlines()[-1] == "code 2"
    assert "in use by process" in first
    assert "process 0: " in second
    assert "in use by process" in second
    assert [path.name for path in workdir.iterdir()] == [lock.NAME]


def test_several_processes_without_a_mesh_are_refused(config, tmp_path):
    """Each would train all of it alone, and of that nobody would hear."""
    workdir = tmp_path / "run"
    said = run_together(SCRIPT, 2, "--config", config, "--workdir", workdir)
    assert [text.splitlines()[-1] for text in said] == ["code 2"] * 2
    assert "set mesh.data=-1" in said[0]
    assert not workdir.exists()
