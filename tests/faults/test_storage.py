"""Faults 8 to 10: no room on the disk, and saves that fail in the background."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from jaxtrain.hooks import read_rows

STEP = "jaxtrain.engine.device.dispatch:Dispatch.run"
INTRODUCTION = ("run: ", "data: ", "model: ", "differs from the defaults: ")
MANY_ROWS = {
    "data__batch_size": "16",
    "hooks__jsonl__every": "1",
    "checkpoint__every": "null",
    "train__epochs": "2",
}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB at tmp_path/disk."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip("only root can mount; the injected form of this test runs everywhere")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place) -> None:
    """Take all the room that is left."""
    with (place / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def disk_gets_full(runs, place, there, nth, **changes) -> tuple[int, str]:
    process = runs.start(
        "disk/run",
        [["hold_at", {"target": STEP, "nth": nth, "path": str(there)}]],
        **changes,
    )
    runs.wait_for(there)
    fill(place)
    there.unlink()
    return process.wait(), process.said


@pytest.mark.slow
def test_fault_8_disk_full_while_saving(runs, undisturbed, tmp_path, small_disk):
    runs.log = lambda name: tmp_path / "run.log"  # not on that disk
    changes = {"hooks__jsonl__every": "1000"}
    expected = undisturbed(**changes)
    code, said = disk_gets_full(runs, small_disk, tmp_path / "there", 10, **changes)
    assert code == 4, said
    # One line, with the place and the cause; at 888f0db a hundred of orbax's came first.
    lines = [line for line in said.splitlines() if not line.startswith(("epoch ", *INTRODUCTION))]
    assert len(lines) == 1, said
    where = re.escape(str(small_disk / "run/checkpoints"))
    assert re.match(
        rf"checkpoint error: {where}: saving iteration \d+ failed: .*No space", lines[0]
    )
    assert "Earlier checkpoints are untouched" in lines[0]
    (small_disk / "ballast").unlink()
    assert runs.command("checkpoints", str(small_disk / "run"))[0] == 0
    runs.finish("disk/run", expected, **changes)


@pytest.mark.slow
def test_fault_9_disk_full_while_writing_metrics(runs, undisturbed, tmp_path, small_disk):
    runs.log = lambda name: tmp_path / "run.log"
    expected = undisturbed(**MANY_ROWS)
    code, said = disk_gets_full(runs, small_disk, tmp_path / "there", 90, **MANY_ROWS)
    assert code == 4, said
    # Whichever of the two needs a new page of the disk first.
    assert re.search(r"No space left on device: '.*/metrics\.(jsonl|csv)'", said), said
    assert "Traceback" not in said
    assert read_rows(small_disk / "run/metrics.jsonl")[1] == 0
    (small_disk / "ballast").unlink()
    runs.finish("disk/run", expected, **MANY_ROWS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nth", "file", "changes"),
    [
        (0, ".lock", {}),
        (3, "events.out.tfevents", {"hooks__tensorboard__every": "1", "hooks__jsonl": "null"}),
    ],
    ids=["before the first file", "events of TensorBoard"],
)
def test_fault_9_disk_full_elsewhere_is_one_line_too(
    runs, tmp_path, small_disk, nth, file, changes
):
    """At 888f0db tensorboardX's thread and its last words at the exit were tracebacks."""
    runs.log = lambda name: tmp_path / "run.log"
    changes = {**changes, "checkpoint__every": "null", "checkpoint__every_epochs": "9"}
    if nth:
        changes |= {"hooks__csv": "null"}
        code, said = disk_gets_full(runs, small_disk, tmp_path / "there", nth, **changes)
    else:
        fill(small_disk)
        code, said = runs.run("disk/run", **changes), runs.said("disk/run")
    assert code == 4, said
    lines = [line for line in said.splitlines() if not line.startswith(("epoch ", *INTRODUCTION))]
    assert len(lines) == 1, said
    assert re.match(rf"storage error: .*No space left on device: '.*/{file}'$", lines[0]), said


@pytest.mark.slow
@pytest.mark.parametrize("target", ["write_arrays", "write_manifest", "sync"])
def test_fault_8_a_save_that_fails(runs, whole, target):
    inject = [["fail_at", {"target": f"jaxtrain.checkpoint.committer:{target}", "nth": 3}]]
    assert runs.run("run", inject) == 4
    said = runs.said("run")
    assert "injected" in said
    assert "Earlier checkpoints are untouched" in said
    assert runs.checkpoints("run")
    assert not list((runs.root / "run/checkpoints").glob(".tmp-*"))
    runs.finish("run", whole)


@pytest.mark.slow
def test_fault_9_a_row_that_fails(runs, whole):
    assert (
        runs.run("run", [["fail_at", {"target": "jaxtrain.hooks.jsonl:append_row", "nth": 6}]]) == 4
    )
    assert "storage error: " in runs.said("run")
    runs.finish("run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 5, 9])
def test_fault_10_a_failed_background_save_is_told_by_the_next_save_or_the_exit(runs, whole, nth):
    """9 is the last one of the run."""
    inject = [["fail_at", {"target": "jaxtrain.checkpoint.committer:write_arrays", "nth": nth}]]
    assert runs.run("run", inject) == 4
    said = runs.said("run")
    assert "checkpoint error: " in said
    assert "injected" in said
    status = json.loads((runs.root / "run/metadata.json").read_text())["status"]
    assert status.startswith("failed: ")
    saves = json.loads(newest_meta(runs))["iteration"] if runs.checkpoints("run") else 0
    assert saves <= {1: 0, 5: 12, 9: 24}[nth]  # nothing was saved as if all were well
    runs.finish("run", whole)


def newest_meta(runs) -> str:
    return (runs.root / "run/checkpoints" / runs.checkpoints("run")[-1] / "meta.json").read_text()
