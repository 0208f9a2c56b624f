"""Runs of scripts: begun, gone on with, finished, whatever ends the script."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from jaxtrain import tracking
from jaxtrain.errors import ConfigError, TrackingError
from jaxtrain.tracking import Artifact, RunRecord

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert tracking.current() is None
    tracking.set_mode("offline")


def test_a_run_is_current_until_it_is_finished():
    with tracking.run("digits", "first", {"width": 64}, ["trial"]) as run:
        assert tracking.current() is run
        assert run.record.status == "running"
        tracking.log({"loss": 0.5}, step=1)
        tracking.log_image("i", np.zeros((2, 2)))
        tracking.log_histogram("h", [1.0])
        tracking.log_text("t", "x")
        tracking.log_table("w", [{"a": 1}])
        Path("f").write_text("x")
        tracking.log_artifact(Artifact("m", "model").add_file("f"), aliases=["best"])
        assert tracking.use_artifact("m:best").type == "model"
    record = RunRecord.read("runs/digits/first")
    assert (record.status, record.config, record.tags) == ("completed", {"width": 64}, ("trial",))
    assert record.series("loss") == ([1], [0.5])
    assert [medium["kind"] for medium in record.media] == ["image", "histogram", "text", "table"]


def test_a_run_inside_of_another():
    with tracking.run("p", "outer"):
        with tracking.run("p", "inner"):
            tracking.log({"a": 1})
        tracking.log({"b": 1})
    assert RunRecord.read("runs/p/inner").names == ["a"]
    assert RunRecord.read("runs/p/outer").names == ["b"]


def test_without_a_run_nothing_is_lost_in_silence():
    for call in (
        lambda: tracking.log({"a": 1}),
        lambda: tracking.log_text("t", "x"),
        tracking.finish,
    ):
        with pytest.raises(TrackingError, match=r"begin one with tracking.run\(project\)"):
            call()


def test_how_a_run_ended():
    for name, raised, status in [
        ("a", ValueError("too wide"), "failed: ValueError: too wide"),
        ("b", KeyboardInterrupt(), "interrupted"),
    ]:
        with pytest.raises(type(raised)), tracking.run("p", name):
            raise raised
        assert RunRecord.read(f"runs/p/{name}").status == status
    with pytest.raises(SystemExit), tracking.run("p", "d"):
        sys.exit(0)
    assert RunRecord.read("runs/p/d").status == "completed"
    with pytest.raises(SystemExit), tracking.run("p", "e"):
        sys.exit(3)
    assert RunRecord.read("runs/p/e").status == "failed: SystemExit: 3"
    run = tracking.run("p", "c")
    tracking.finish("failed: by hand")
    run.finish()  # again: nothing
    assert run.record.status == "failed: by hand"


def test_a_name_of_its_own_where_none_is_given():
    with tracking.run("p") as one, tracking.run("p") as two:
        assert one.id != two.id
    assert one.directory.parent == Path("runs/p").absolute()


def test_going_on(caplog):
    with tracking.run("p", "a", {"lr": 1, "x": [1]}) as run:
        run.log({"a": 1}, step=5)
    with pytest.raises(ConfigError, match=r"there is a run of that name.*resume=True"):
        tracking.run("p", "a")
    with tracking.run("p", "a", {"lr": 1, "x": (1,)}, resume=True) as run:
        assert not caplog.records
        with pytest.raises(TrackingError, match="comes after 5"):
            run.log({"a": 1}, step=4)
        run.log({"a": 2})
    assert run.record.series("a") == ([5, 6], [1.0, 2.0])
    with caplog.at_level(logging.WARNING), tracking.run("p", "a", {"lr": 2}, resume=True) as run:
        assert "goes on with another config: lr, x" in caplog.text
        assert run.record.config == {"lr": 2}
    with tracking.run("p", "b", resume=True) as run:
        assert run.record.status == "running"
    with pytest.raises(ConfigError, match="resume=True wants the name"):
        tracking.run("p", resume=True)


def test_one_process_a_run():
    with (
        tracking.run("p", "a"),
        pytest.raises(ConfigError, match="in use by"),
    ):
        tracking.run("p", "a", resume=True)


def test_the_run_of_a_command_line_is_not_a_scripts():
    Path("runs/p/a").mkdir(parents=True)
    Path("runs/p/a/config.yaml").write_text("seed: 0\n")
    with pytest.raises(ConfigError, match="a run of the command line"):
        tracking.run("p", "a", resume=True)


@pytest.mark.parametrize("bad", ["../a", "/a", "a/b", "..", "a%2e", "a#", "a?", "a\0", "", "-a"])
def test_names_that_lead_elsewhere(bad):
    with pytest.raises(ConfigError, match="project"):
        tracking.run(bad)
    with pytest.raises(ConfigError, match="name"):
        tracking.run("p", bad)
    assert list(Path().iterdir()) == []


def test_a_link_out_of_the_root():
    Path("elsewhere").mkdir()
    Path("runs").mkdir()
    Path("runs/p").symlink_to(Path("elsewhere").absolute())
    with pytest.raises(ConfigError, match="leads out"):
        tracking.run("p", "a")
    assert list(Path("elsewhere").iterdir()) == []


def test_what_is_refused_leaves_no_run():
    with pytest.raises(ConfigError, match="tags: expected a list of texts, found 'a'"):
        tracking.run("p", "a", tags="a")
    with pytest.raises(TrackingError, match=r"config\.a\[1\]: expected a number.* object"):
        tracking.run("p", "a", {"a": [1, object()]})
    with tracking.run("p", "a"):  # not held any more
        pass


def test_disabled_writes_nothing_and_checks_all_the_same():
    tracking.set_mode("disabled")
    with tracking.run("p", "a") as run:
        run.log({"a": 1}, step=3)
        with pytest.raises(TrackingError):
            run.log({"a": 1}, step=2)
    assert list(Path().iterdir()) == []


def test_modes():
    with pytest.raises(ConfigError, match=r"expected one of .*offline.*did you mean 'offline'"):
        tracking.set_mode("ofline")


SCRIPT = """
    from jaxtrain import tracking
    run = tracking.run("p", "a")
    run.log({"a": 1}, step=1)
"""


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("", "completed"),
        ("raise ValueError('late')", "failed: ValueError: late"),
        ("raise KeyboardInterrupt", "interrupted"),
        ("print('ready', flush=True); import time; time.sleep(60)", "killed"),
    ],
)
def test_a_script_that_never_finishes_its_run(tmp_path, last, status):
    script = textwrap.dedent(SCRIPT) + last
    env = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", script], env=env, **pipes)
    try:
        if status == "killed":
            assert process.stdout.readline() == b"ready\n"
            assert RunRecord.read("runs/p/a").status == "running"
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    finally:
        process.kill()
    record = RunRecord.read("runs/p/a")
    assert record.status == status
    assert record.series("a") == ([1], [1.0])
    with tracking.run("p", "a", resume=True) as run:
        run.log({"a": 2})
    assert run.record.status == "completed"


def test_the_config_is_noted_as_json():
    config = {"x": (1, 2), "rate": np.float32(0.5), "data": Path("a/b"), "none": None}
    with tracking.run("p", "a", config) as run:
        pass
    expected = {"x": [1, 2], "rate": 0.5, "data": "a/b", "none": None}
    assert json.loads((run.directory / "metadata.json").read_text())["config"] == expected


def test_the_error_of_the_script_is_the_one_to_see(tmp_path):
    def script():
        with tracking.run("p", "a") as run:
            shutil.rmtree(run.directory)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        script()


def test_a_torn_tail_takes_no_row_with_it(tmp_path):
    with tracking.run("p", "a") as run:
        run.log({"a": 1}, step=1)
    with (run.directory / "metrics.jsonl").open("ab") as stream:
        stream.write(b'{"event": "log", "st')
    with tracking.run("p", "a", resume=True) as run:
        run.log({"a": 2}, step=2)
        run.log({"a": 3}, step=3)
    assert run.record.series("a") == ([1, 2, 3], [1.0, 2.0, 3.0])


def test_a_log_costs_little():
    """The aim is 100 microseconds; the bound tells a fault (a sync, a file read again) from it."""
    with tracking.run("p", "a") as run:
        began = time.perf_counter()
        for step in range(2000):
            run.log({"loss": 0.5, "accuracy": 0.5}, step)
        each = (time.perf_counter() - began) / 2000
    assert each < 2e-3
