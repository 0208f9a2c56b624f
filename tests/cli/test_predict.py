"""`predict`: what is in the way is said before anything is computed, and nothing is lost."""

from __future__ import annotations

import csv
import io
import os

import numpy as np
import pytest
from sklearn.datasets import load_digits

from jaxtrain.errors import ConfigError


@pytest.fixture(scope="module")
def run(call, digits, tmp_path_factory):
    """A finished run of the digits, and a file of images beside it."""
    folder = tmp_path_factory.mktemp("predict")
    assert call("train", *digits, "--workdir", str(folder / "run")) == 0
    np.savez(folder / "new.npz", inputs=(load_digits().data[:5] / 16).astype(np.float32))
    return folder


def words(run, **options):
    given = {"checkpoint": run / "run", "input": run / "new.npz", **options}
    return ["predict", *(f"--{n}={v}" for n, v in given.items() if v is not None)]


def test_arrays_as_the_model_takes_them(call, run, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert call(*words(run, output=out)) == 0
    assert capsys.readouterr().err.endswith(f"5 rows, written to {out}\n")
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["index"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert list(rows[0])[1:3] == ["prediction", "probability 0"]
    assert call(*words(run)) == 0
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == rows


def test_what_is_there_is_not_written_over_unasked(call, run, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(ConfigError, match="is there already; --force writes over it"):
        call(*words(run, output=out))
    assert out.read_text() == "precious"
    assert call(*words(run, output=out), "--force") == 0
    assert out.read_text().startswith("index,prediction")
    with pytest.raises(ConfigError, match="is the input"):
        call(*words(run, output=run / "new.npz"), "--force")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": None}, "--input is missing"),
        ({"checkpoint": None}, "a run directory or a checkpoint is missing"),
        ({"input": "gone.npz"}, "gone.npz"),
        ({"output": "no/such/place/out.csv"}, "no directory no/such/place"),
        ({"output": "."}, "found a directory"),
    ],
)
def test_what_is_missing_is_said(call, run, options, message):
    with pytest.raises(ConfigError, match=message):
        call(*words(run, **options))


@pytest.mark.parametrize("kind", ["a link", "a link to nothing", "a pipe"])
def test_what_is_no_file_is_not_replaced_by_one(call, run, tmp_path, kind):
    out, real = tmp_path / "out.csv", tmp_path / "real.csv"
    if kind == "a pipe":
        os.mkfifo(out)
    else:
        out.symlink_to(real)
        if kind == "a link":
            real.write_text("precious")
    before = out.lstat()
    with pytest.raises(ConfigError, match="is a link or a device"):
        call(*words(run, output=out), "--force")
    assert out.lstat() == before
