"""`python -m benchmarks tables`: how long a large CSV file takes, and how much memory.

    python -m benchmarks tables
    python -m benchmarks tables --rows 100000 --rounds 9

A table of 18 columns of numbers, one of categories and one of classes is written once. Each reader
then reads it in a process of its own, in turns, so that nothing is warm and nobody is favoured:

    jaxtrain        from the file to the arrays of a run: read, split, standardised, one-hot
    pyarrow         `pyarrow.csv.read_csv`, which jaxtrain reads with: to its own columns
    polars, pandas  `read_csv`, where they are installed

Seconds are medians of the rounds, by the clock and of all cores together. Memory is the highest
resident size above that before the read, in bytes and as multiples of the arrays that jaxtrain
hands over. It is read from /proc, so this runs on Linux alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine_facts
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "tables.json"
NUMBERS = 18

_MEASURE = """
import json, sys, time
{imports}
def resident(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) * 1024
before, began, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
found = {call}
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
arrays = {arrays}
size = resident("VmHWM") - before
print(json.dumps(dict(seconds=seconds, cpu_seconds=cpu, bytes=size, arrays=arrays)))
"""
READERS = {
    "jaxtrain": {
        "imports": "import pyarrow.csv, pyarrow.compute\nfrom jaxtrain.data import csv_table",
        "call": "csv_table(0.1, 0, train=sys.argv[1], target='y')",
        "arrays": "sum(s.inputs.nbytes + s.labels.nbytes for s in found.sets.values())",
    },
    "pyarrow": {"imports": "import pyarrow.csv", "call": "pyarrow.csv.read_csv(sys.argv[1])"},
    "polars": {"imports": "import polars", "call": "polars.read_csv(sys.argv[1])"},
    "pandas": {"imports": "import pandas", "call": "pandas.read_csv(sys.argv[1])"},
}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks tables")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--directory", help="where the table is written; by default /tmp's")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    readers = [name for name in READERS if name == "jaxtrain" or find_spec(name)]
    absent = [name for name in READERS if name not in readers]
    if absent:
        print(f"left out, as not installed: {', '.join(absent)}; the extra 'peers' has them")
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        path = Path(directory) / "table.csv"
        write_table(path, options.rows)
        print(f"{options.rows:,} rows, {NUMBERS + 2} columns, {path.stat().st_size:,} bytes")
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in readers}
        for number in range(options.rounds):
            for name in readers:
                rounds[name].append(measure(name, path))
                print(f"  round {number + 1}: {name:9} {rounds[name][-1]['seconds']:.2f} s")
    record = {
        "machine": machine_facts(["jaxtrain", *READERS, "numpy"]),
        "rows": options.rows,
        "columns": NUMBERS + 2,
        **summary(rounds),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    for name, found in record["readers"].items():
        print(
            f"{name:9} {found['seconds']:.2f} s ({found['cpu_seconds']:.2f} s of cores), "
            f"{found['memory_of_arrays']:.2f} times the memory of the arrays"
        )
    print(f"written: {options.out}")


def write_table(path: Path, rows: int) -> None:
    """Numbers of five decimals, a column of colours, and one that depends on the numbers."""
    import pyarrow as pa
    from pyarrow import csv

    draw = np.random.default_rng(0)
    numbers = [draw.normal(size=rows).round(5) for _ in range(NUMBERS)]
    colours = np.array(["red", "green", "blue", "yellow"])[draw.integers(0, 4, rows)]
    classes = np.where(sum(numbers[:5]) + draw.normal(size=rows) > 0, "yes", "no")
    columns = {f"x{place}": values for place, values in enumerate(numbers)}
    csv.write_csv(pa.table({**columns, "c": colours, "y": classes}), path)


def measure(name: str, path: Path) -> dict[str, Any]:
    """One read by one reader, in a process of its own."""
    code = _MEASURE.format(**({"arrays": "0"} | READERS[name]))
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summary(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, and what they are in jaxtrain's."""
    arrays = rounds["jaxtrain"][0]["arrays"]
    readers = {}
    for name, measured in rounds.items():
        seconds = statistics.median(one["seconds"] for one in measured)
        busy = statistics.median(one["cpu_seconds"] for one in measured)
        memory = statistics.median(one["bytes"] for one in measured)
        readers[name] = {
            "seconds": seconds,
            "cpu_seconds": busy,
            "bytes": memory,
            "memory_of_arrays": memory / arrays,
            "rounds": [one["seconds"] for one in measured],
        }
    ours = readers["jaxtrain"]["seconds"]
    return {
        "array_bytes": arrays,
        "readers": readers,
        "jaxtrain_seconds_of": {
            name: ours / found["seconds"] for name, found in readers.items() if name != "jaxtrain"
        },
    }
