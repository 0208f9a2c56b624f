"""`evaluate` after the CSVs were edited (C2)."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import DataError


def rows(count, first=0):
    return "".join(
        f"{(n * 37 % 101) / 50 - 1},{'hi' if n * 37 % 101 > 50 else 'lo'}\n"
        for n in range(first, first + count)
    )


@pytest.fixture(scope="module")
def tables(call, tmp_path_factory):
    """A finished run on a CSV of one's own, and the directory of its files."""
    place = tmp_path_factory.mktemp("tables")
    (place / "train.csv").write_text("x,y\n" + rows(60))
    (place / "test.csv").write_text("x,y\n" + rows(20, 60))
    config = {
        "data": {"name": "csv", "root": str(place), "train": "train.csv", "test": "test.csv"},
        "model": {"hidden": [4]},
        "train": {"epochs": 2},
        "hooks": {"progress": None, "console": None},
    }
    config["data"] |= {"target": "y", "batch_size": 20}
    (place / "k.json").write_text(json.dumps(config))
    assert call("train", str(place / "k.json"), "--workdir", str(place / "run")) == 0
    return place


@pytest.fixture
def figures(call, tables, capsys):
    """figures(): what `evaluate` says; whatever was done to the files is undone afterwards."""
    before = {path: path.read_bytes() for path in tables.glob("*.csv")}

    def evaluate():
        capsys.readouterr()
        assert call("evaluate", str(tables / "run")) == 0
        return json.loads(capsys.readouterr().out)

    yield evaluate
    for path, content in before.items():
        path.write_bytes(content)


def test_rows_added_to_the_training_file_do_not_move_the_test(tables, figures):
    """C2: the encoder was fitted anew, so an unchanged test.csv had another figure."""
    good = figures()
    assert "differs" not in good
    with (tables / "train.csv").open("a") as file:
        file.write("50,hi\n" * 5)
    found = figures()
    assert found["test"] == good["test"]
    assert found["differs"][0].startswith("the train set is not that of the run")


def test_a_label_that_was_renamed_everywhere_is_refused(call, tables, figures):
    """C2: `lo` renamed to `aa` came first among the classes: 0.99 was 0.0, without a word."""
    for name in ("train.csv", "test.csv"):
        path = tables / name
        path.write_text(path.read_text().replace("lo", "aa"))
    with pytest.raises(DataError, match=r"expected one of the 2 classes \(hi, lo\), found 'aa'"):
        call("evaluate", str(tables / "run"))


def test_without_its_training_file_a_run_is_evaluated(tables, figures):
    """C2: `data file not found`."""
    good = figures()
    (tables / "train.csv").unlink()
    found = figures()
    assert found["test"] == good["test"]
    assert "the train set is not there any more" in found["differs"]
