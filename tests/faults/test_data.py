"""Faults 17 and 19: data files that are broken, or not those of the run."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def table(tmp_path):
    """Rows of two numbers and a class, in tmp_path/data."""
    rng = np.random.default_rng(0)
    rows = [f"{a:.4f},{b:.4f},{int(a > b)}" for a, b in rng.normal(size=(400, 2))]
    directory = tmp_path / "data"
    directory.mkdir()
    for name, part in (("train.csv", rows[:300]), ("test.csv", rows[300:])):
        (directory / name).write_text("\n".join(["a,b,label", *part]) + "\n")
    config = tmp_path / "table.yaml"
    config.write_text(
        "project: table\n"
        f"data: {{name: csv, root: {directory}, train: train.csv, test: test.csv, target: label, "
        "batch_size: 32}\n"
        "model: {name: mlp, hidden: [4]}\n"
        "train: {epochs: 2}\n"
    )
    return directory / "train.csv", ["train", "--config", str(config)]


def swapped(lines):
    return [lines[0], "9.0,1.0,1", *lines[2:]]


def truncated(lines):
    return lines[:-1]


def reordered(lines):
    return [lines[0], *lines[:0:-1]]


@pytest.mark.parametrize("change", [swapped, truncated, reordered])
def test_fault_19_changed_data_are_refused_with_both_fingerprints(runs, table, tmp_path, change):
    path, words = table
    words = [*words, "--workdir", str(tmp_path / "run")]
    code, said = runs.command(*words, inject=[["interrupt_at", {"iteration": 5}]])
    assert code == 75, said
    before = runs.checkpoints("run")
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    code, said = runs.command(*words)
    assert code == 2, said
    assert said.count("sha256=") == 2
    assert "saved: " in said
    assert "now: " in said
    assert runs.checkpoints("run") == before


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0.1,0.2", "train.csv:8: expected 3 cells (a to label), found 2"),
        ("0.1,\x00,1", "train.csv:8"),
        ("0.1,inf,1", "train.csv:8: column 'b'"),
    ],
)
def test_fault_17_a_corrupt_record_names_file_and_line(runs, table, tmp_path, line, says):
    path, words = table
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], line, *lines[8:]]) + "\n")
    code, said = runs.command(*words, "--workdir", str(tmp_path / "run"))
    assert code == 3, said
    assert says in said
    assert not (tmp_path / "run").exists()
