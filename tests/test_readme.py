"""The README is true: its code runs, its commands are the ones that CI runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
SHELL = [
    line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines()
]


def test_ci_runs_the_readmes_commands():
    script = (ROOT / ".ci/run").read_text()
    set_up = [line for line in SHELL if line.startswith("python3 -m venv")]
    assert len(set_up) == 3
    for line in set_up:
        if "jaxtrain.main" not in line:
            assert f"\n{line}\n" in script


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_runs(number, tmp_path):
    for folder in ("configs",):
        (tmp_path / folder).symlink_to(ROOT / folder)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PYTHON[number]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_commands_run(tmp_path):
    """As printed, but for the set-up, the interpreter and the digest, which is looked up."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    digits = [line for line in SHELL if "jaxtrain.main" in line]
    assert len(digits) >= 5
    for line in digits:
        words = line.partition("-m jaxtrain.main")[2].split()
        if "<digest>" in line:
            best = max((tmp_path / "runs/digits").iterdir(), key=lambda p: p.stat().st_mtime)
            words[-1] = words[-1].replace("seed0-<digest>", best.name)
        done = subprocess.run(
            [sys.executable, "-m", "jaxtrain.main", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if line.startswith("python3"):
            accuracy = float(re.findall(r"accuracy (0\.\d+)", done.stdout.splitlines()[-2])[0])
            assert accuracy >= 0.97


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
