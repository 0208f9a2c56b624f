"""How much memory a table takes while it is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[3]

READS = """
import resource, sys
from jaxtrain.data import csv_table
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
csv_table(0.1, 0, root=sys.argv[1], train="small.csv", test="small.csv", target="y")
before = peak()
csv_table(0.1, 0, root=sys.argv[1], train="large.csv", test="small.csv", target="y")
print(peak() - before)
"""


def test_a_large_file_takes_a_few_times_its_size_at_most(tmp_path):
    """C25: a CSV of 95 MB took 1.6 GB, seventeen times its size."""
    numbers = np.random.default_rng(0).normal(size=(2_000, 16)).tolist()
    rows = "".join(f"{','.join(f'{x:.6f}' for x in row)},{'pq'[row[0] > 0]}\n" for row in numbers)
    header = ",".join([*(f"c{n}" for n in range(16)), "y"]) + "\n"
    (tmp_path / "small.csv").write_text(header + rows)
    (tmp_path / "large.csv").write_text(header + rows * 100)
    size = (tmp_path / "large.csv").stat().st_size
    assert size > 25e6
    done = subprocess.run(
        [sys.executable, "-c", READS, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 5 * size
