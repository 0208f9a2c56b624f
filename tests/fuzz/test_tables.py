"""Tables of any bytes, read with any options: data, or an error that says so; nothing else."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxtrain.data import NewRows, Splits, csv_table
from jaxtrain.data.tables import (
    Dialect,
    csv_config,
    csv_reader,
    inspect_table,
    read_head,
    read_table,
)
from jaxtrain.errors import ConfigError, DataError

SAID = (ConfigError, DataError)
FIXED = settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

WORDS = (
    "1 2 3.5 -4e2 1,000 1.000,5 5% $3 ? NA nan inf 1e39 1e400 0x1 1_0 2024-01-02 3/4/2024 "
    '"a "" a"b "x,y" "u\nv" yes no train test été 서울 \x00 \ufeff + - .'
)
ODD = st.one_of(
    st.sampled_from(WORDS.split(" ")),
    st.text(max_size=4),
    st.just(""),
    st.just("   "),
)
KINDS = st.sampled_from(
    [
        ["1", "2", "-3", "4.5", "6e2", ""],
        ["1", "1", "1"],
        ["yes", "no"],
        ["a", "b", "?", '"x, y"', '"u\nv"', 'a"b', '""'],
        ["2024-01-02", "2023-12-31 10:11", "1999-1-1"],
        ["3/4/2024", "5/6/2024", "13/1/2024"],
        ['"1,000"', "7", '"2,500.5"'],
        ["5%", "7%"],
        ["1,5", "2,5"],
        ["train", "test", "dev"],
        [str(number) for number in range(1, 99)],
        ["서울", "été", " x ", " 1 ", "+1"],
        ["1e38", "-1e38", "1e39", "3e-320"],
    ]
)


@st.composite
def near_csv(draw):
    """A file of three columns that is nearly right."""
    delimiter = draw(st.sampled_from([",", ",", ",", ";", "\t", ", "]))
    ending = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    header = draw(st.sampled_from([*[["a", "b", "y"]] * 8, ["a", "a", "y"], ["a", "b"], ["1"]]))
    length = draw(st.sampled_from([0, 3, 8, 12, 30, 60]))
    kinds = [draw(KINDS) for _ in header]
    turns = draw(st.lists(st.integers(0, 100), min_size=3, max_size=3))
    rows = [
        [kind[(row * (turn + 1)) % len(kind)] for kind, turn in zip(kinds, turns, strict=False)]
        for row in range(length)
    ]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        if rows:
            row = rows[draw(st.integers(0, length - 1))]
            row[draw(st.integers(0, len(row) - 1)) :] = draw(st.lists(ODD, max_size=2))
            if not row:
                rows.remove(row)
                length -= 1
    text = ending.join(delimiter.join(row) for row in [header, *rows])
    encoding = draw(st.sampled_from([*["utf-8"] * 9, "utf-8-sig", "utf-16", "cp949", "latin-1"]))
    content = text.encode(encoding, "replace")
    content = content[: draw(st.sampled_from([*[None] * 8, 10, -1]))]
    is_zipped = draw(st.sampled_from([False] * 5 + [True]))
    return gzip.compress(content, mtime=0) if is_zipped else content


CONTENTS = st.one_of(near_csv(), near_csv(), near_csv(), st.binary(max_size=60))
COLUMN = st.sampled_from(["a", "b", "y", "z", ""])
COLUMNS = st.lists(COLUMN, max_size=2).map(tuple)
EACH = {
    "task": st.sampled_from(["classification", "regression"]),
    "test": st.sampled_from(["other.csv", "train.csv", "gone.csv", "", "/", "..", "x" * 300]),
    "validation": st.sampled_from(["other.csv", "train.csv"]),
    "split": COLUMN,
    "test_fraction": st.sampled_from([0.2, 0.5, 0.999]),
    "classes": st.sampled_from([(), ("yes", "no"), ("a", "a")]),
    "columns": st.sampled_from([(), ("a", "b", "y"), ("a", "a")]),
    "drop": COLUMNS,
    "categorical": COLUMNS,
    "dates": COLUMNS,
    "day_first": st.sampled_from([None, True, False]),
    "missing": st.sampled_from([("?", ""), ("NA",), ("1", " x "), ()]),
    "unlabelled": st.sampled_from(["refuse", "drop"]),
    "strip_target": st.sampled_from(["", "."]),
    "preamble": st.sampled_from(["", "|", "a"]),
    "standardise_target": st.sampled_from([None, True, False]),
    "delimiter": st.sampled_from([*",;\t|^]\\1é", "", "ab", '"']),
    "encoding": st.sampled_from(["utf-8", "utf-16", "cp949", "latin-1", "no", "utf-7"]),
    "decimal": st.sampled_from([".", ","]),
    "thousands": st.sampled_from(["", ",", ".", " ", "'", "1"]),
}


@st.composite
def some_options(draw):
    """A target, and at most three other options."""
    names = draw(st.lists(st.sampled_from(sorted(EACH)), max_size=3, unique=True))
    target = draw(st.sampled_from(["y", "y", "y", "y", "a", "z"]))
    return {"target": target} | {name: draw(EACH[name]) for name in names}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """With blocks so small that files have many, and rows lie across their ends."""
    monkeypatch.setattr("jaxtrain.data.tables.blocks._SIZE", 64)
    monkeypatch.setattr("jaxtrain.data.tables.opening._PIECE", 16)
    (tmp_path / "other.csv").write_text("a,b,y\n1,2,yes\n3,4,no\n")
    return tmp_path


def written(directory: Path, content: bytes) -> Path:
    name = "train.csv.gz" if content.startswith(b"\x1f\x8b") else "train.csv"
    for other in ("train.csv.gz", "train.csv"):
        (directory / other).unlink(missing_ok=True)
    (directory / name).write_bytes(content)
    return directory / name


def look_at(splits: Splits) -> None:
    for rows in splits.sets.values():
        assert np.isfinite(rows.inputs).all()
        assert np.isfinite(rows.labels).all()
        if rows.task == "classification":
            assert rows.labels.min() >= 0
            assert rows.labels.max() < rows.num_outputs


@FIXED
@given(content=CONTENTS, options=some_options(), fraction=st.sampled_from([0.0, 0.3]))
def test_a_table_is_data_or_an_error(directory, content, options, fraction):
    """And what was fitted reads the same file again, from JSON, to the same rows."""
    path = written(directory, content)
    try:
        splits = csv_table(fraction, 0, root=str(directory), train="train.csv", **options)
    except SAID:
        return
    look_at(splits)
    state = json.loads(json.dumps(dict(splits.reader.state())))
    again = csv_table(fraction, 0, state, root=str(directory), train="train.csv", **options)
    assert {n: r.fingerprint() for n, r in again.sets.items()} == {
        n: r.fingerprint() for n, r in splits.sets.items()
    }
    with contextlib.suppress(*SAID):  # its rows without a target may hold what was not learnt
        assert isinstance(splits.reader.read(path), NewRows)


STATE = {
    "version": 1,
    "ids": ["id"],
    "encoder": [
        {"kind": "number", "name": "a", "mean": 1.0, "deviation": 2.0, "flag_missing": True}
        | {"sign": ""},
        {"kind": "category", "name": "b", "categories": ["2", "x"]},
    ],
    "target": {"task": "classification", "name": "y", "classes": ["no", "yes"]},
}


QUOTED = st.sampled_from(
    [
        "a",
        "",
        "1",
        '"x, y"',
        '"u\nv"',
        '"u\n,\n"',
        '5"',
        'a "b" c',
        ' "q, r"',
        '"a""b"',
        '"""\n"',
        " z ",
    ]
)


@settings(FIXED, max_examples=150)
@given(
    rows=st.lists(st.tuples(QUOTED, QUOTED, QUOTED), min_size=1, max_size=40),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_quotes_mean_what_they_mean_to_python_wherever_blocks_end(directory, rows, ending):
    text = ending.join(["a,b,c", *map(",".join, rows)])
    path = written(directory, text.encode())
    lines = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    wanted = [cells for row in lines if any(cells := [cell.strip() for cell in row])][1:]
    if any(len(row) != 3 for row in wanted) or not wanted:
        with pytest.raises(DataError):
            read_table(read_head(path, Dialect()), missing=())
        return
    table = read_table(read_head(path, Dialect()), missing=(), text=("a", "b", "c"))
    columns = [
        [table.texts[name].value(code) for code in table.texts[name].codes] for name in "abc"
    ]
    assert [list(row) for row in zip(*columns, strict=True)] == wanted


@settings(FIXED, max_examples=100)
@given(content=CONTENTS)
def test_new_rows_are_read_or_refused(directory, content):
    path = written(directory, content)
    try:
        rows = csv_reader(STATE, missing=("?", "", "NA")).read(path)
    except SAID:
        return
    assert rows.inputs.shape[1] == 5
    assert np.isfinite(rows.inputs).all()


@settings(FIXED, max_examples=100)
@given(content=CONTENTS, target=st.sampled_from([None, "y", "y", "y", "a", "q"]))
def test_any_file_can_be_inspected(directory, content, target):
    path = written(directory, content)
    try:
        found = inspect_table(path, target=target)
        csv_config(found, path)
    except SAID:
        return


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=3),
        st.sampled_from(["number", "category", "date", "regression", "year-month-day", 1e-320]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["kind", "name", "mean", "task", "scale"]), inner),
    ),
    max_leaves=6,
)


def paths_in(value, path=()):
    yield path
    if not isinstance(value, dict | list):
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield from paths_in(inner, (*path, key))


@settings(FIXED, max_examples=150)
@given(place=st.sampled_from(list(paths_in(STATE))), value=JSON, gone=st.booleans())
def test_a_state_that_somebody_has_edited_is_read_or_refused(directory, place, value, gone):
    state = json.loads(json.dumps(STATE))
    if not place:
        state = value
    else:
        inner = state
        for key in place[:-1]:
            inner = inner[key]
        if gone:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
    try:
        rows = csv_reader(state).read(directory / "other.csv")
    except SAID:
        return
    assert np.isfinite(rows.inputs).all()
