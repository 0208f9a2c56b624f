"""Faults 11 to 14: checkpoints and logs that were damaged after they were written."""

from __future__ import annotations

import shutil

import pytest


def flip(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES = {"flip": flip, "delete": lambda path: path.unlink(), "truncate": truncate}


@pytest.fixture(scope="session")
def stopped(make_runs, tmp_path_factory):
    """A run directory that was left at iteration 14, with two checkpoints."""
    runs = make_runs(tmp_path_factory.mktemp("stopped"))
    assert runs.run("run", [["interrupt_at", {"iteration": 14}]]) == 75
    return runs.root / "run"


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_faults_11_and_12_any_damaged_file_is_found_and_the_run_falls_back(
    runs, whole, stopped, tmp_path, damage
):
    newest = sorted((stopped / "checkpoints").iterdir())[-1]
    files = sorted(path.relative_to(stopped) for path in newest.rglob("*") if path.is_file())
    assert len(files) > 8
    for number, file in enumerate(files):
        name = f"run{number}"
        shutil.copytree(stopped, tmp_path / name)
        DAMAGES[damage](tmp_path / name / file)
        runs.finish(name, whole)
        said = runs.said(name)
        assert "set aside as" in said, file
        # A damaged manifest is named instead of the file that it lists; a lost one is named.
        assert file.name in said, file
        assert (tmp_path / name / "checkpoints/.bad" / newest.name).is_dir()
        assert runs.checkpoints(name)[-1] == "00000027"  # later saves happened


def test_fault_13_all_bad_is_no_fresh_start(runs, stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    checkpoints = sorted((tmp_path / "run/checkpoints").iterdir())
    for checkpoint in checkpoints:
        flip(checkpoint / "meta.json")
    rows = (tmp_path / "run/metrics.jsonl").read_text()
    for _ in range(2):  # nor is the second try one
        assert runs.run("run") == 4
        said = runs.said("run")
        assert "every checkpoint is bad; not starting over from step 0" in said
        for checkpoint in checkpoints:
            assert str(checkpoint / "meta.json") in said
    assert (tmp_path / "run/metrics.jsonl").read_text() == rows
    code, listing = runs.command("checkpoints", str(tmp_path / "run"))
    assert code == 4
    assert "none can be used" in listing
    code, said = runs.command("evaluate", "--checkpoint", str(tmp_path / "run"))
    assert code == 4
    assert "every checkpoint is bad" in said


def test_fault_13_no_checkpoint_at_all_is_told(runs, whole, stopped, tmp_path):
    """Somebody deleted them: a beginning at iteration 0 is loud."""
    shutil.copytree(stopped, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints")
    runs.finish("run", whole)
    assert "holds no checkpoint: beginning from iteration 0" in runs.said("run")


NO_OBJECT = "dropped 1 lines that are not JSON objects"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda rows: [*rows, b'{"event": "iteration", "epoch": 2, "iterat'],
            "dropped a torn last line of 42 bytes",
        ),
        (lambda rows: [*rows[:3], b"\x00\xff garbage\n", *rows[3:]], NO_OBJECT),
        (lambda rows: [*rows[:3], b'["not", "an", "object"]\n', *rows[3:]], NO_OBJECT),
        (lambda rows: [*rows[:2], b"[" * 100_000 + b"\n", *rows[2:]], NO_OBJECT),
    ],
    ids=["torn tail", "garbage", "no object", "nested too deeply"],
)
def test_fault_14_a_damaged_log_is_repaired_and_the_count_told(
    runs, whole, stopped, tmp_path, spoil, told
):
    shutil.copytree(stopped, tmp_path / "run")
    log = tmp_path / "run/metrics.jsonl"
    log.write_bytes(b"".join(spoil(log.read_bytes().splitlines(keepends=True))))
    runs.finish("run", whole)
    assert told in runs.said("run")
