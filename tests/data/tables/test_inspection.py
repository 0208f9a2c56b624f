"""The first look at a table."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import Dialect, inspect_table
from jaxtrain.errors import ConfigError, DataNotFoundError
from tests.penguins import penguins
from tests.penguins import write as write_penguins


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Penguins, with a column of percents."""
    path = tmp_path_factory.mktemp("penguins") / "penguins.csv"
    write_penguins(path)
    lines = path.read_text().splitlines()
    rows = [f"{line},{number % 50}%" for number, line in enumerate(lines[1:])]
    path.write_text("\n".join([f"{lines[0]},fat", *rows]))
    return path


def test_each_column_of_the_penguins_is_seen_for_what_it_is(path):
    found = inspect_table(path, target="species")
    assert found.rows == len(penguins()) == 344
    assert {c.kind.name: (c.use, c.kind.kind) for c in found.columns} == {
        "sample": ("drop", "identifier"),
        "species": ("target", "category"),
        "island": ("category", "category"),
        "bill_length_mm": ("number", "number"),
        "bill_depth_mm": ("number", "number"),
        "flipper_length_mm": ("number", "number"),
        "body_mass_g": ("number", "number"),
        "sex": ("category", "category"),
        "date_egg": ("date", "date"),
        "region": ("drop", "constant"),
        "fat": ("number", "number"),
    }
    columns = {column.kind.name: column for column in found.columns}
    assert columns["sex"].missing == pytest.approx(11 / 344)
    assert columns["bill_depth_mm"].missing == pytest.approx(2 / 344)
    assert columns["sex"].examples == ("male", "female")
    assert found.dialect == Dialect(thousands=",")
    assert found.missing == ("NA",)
    assert found.task == "classification"
    assert sum(found.classes.values()) == 343
    assert found.unlabelled == 1
    assert found.imbalance == pytest.approx(152 / 67, abs=0.05)


def test_a_target_of_numbers_is_a_regression(path):
    found = inspect_table(path, target="body_mass_g")
    assert (found.task, found.unlabelled, dict(found.classes)) == ("regression", 2, {})
    assert "different whole numbers" in found.why


def test_a_target_that_is_not_there(path, write):
    with pytest.raises(ConfigError, match=r"'specie'; did you mean 'species'\? \(columns: sample"):
        inspect_table(path, target="specie")
    with pytest.raises(ConfigError, match=r"looks like data: .* or a config data.columns"):
        inspect_table(write("1,a\n2,b\n"), target="y")
    with pytest.raises(ConfigError, match=r"of comma, semicolon, tab, bar none gives"):
        inspect_table(write("a b\n1 2\n"), target="y")
    with pytest.raises(DataNotFoundError):
        inspect_table(path.with_name("no.csv"))


def test_without_a_target_there_is_no_task(path):
    found = inspect_table(path)
    assert (found.target, found.task, found.unlabelled) == (None, None, 0)


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["0", "1"] * 30, "classification"),
        (["1", "2", "3", "4"] * 30, "classification"),
        ([str(n) for n in range(60)], "regression"),
        (["0.5", "1.5"] * 30, "regression"),
        (["1", "2", "3"], "regression"),
        (["yes", "no"] * 30, "classification"),
        (["1,000", "2,500.5", "7"] * 30, "regression"),
        (["None", "mild", "None", "severe"] * 20, "classification"),
        (["-", "+", "-"] * 20, "classification"),
    ],
)
def test_the_task(write, cells, task):
    rows = "".join(f'{n * 3 % 17},"{cell}"\n' for n, cell in enumerate(cells))
    found = inspect_table(write(f"x,y\n{rows}"), target="y")
    assert found.task == task
    assert found.unlabelled == 0
    if task == "classification":
        assert set(found.classes) == set(cells)


def test_the_task_may_be_said(write):
    path = write("x,y\n" + "5,1\n6,2\n" * 30)
    assert inspect_table(path, target="y", task="regression").task == "regression"
    with pytest.raises(ConfigError, match="expected numbers to predict"):
        inspect_table(write("x,y\n" + "5,a\n6,b\n" * 30), target="y", task="regression")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["a"] * 40, "nothing to predict"),
        (["7"] * 40, "nothing to predict"),
        (["?"] * 40, "nothing to predict"),
        ([f"id{n}" for n in range(40)], "neither numbers nor classes"),
        ([f"2024-01-{n % 28 + 1:02}" for n in range(40)], "neither numbers nor classes"),
    ],
)
def test_what_can_not_be_predicted(write, cells, words):
    rows = "".join(f"{n % 7},{cell}\n" for n, cell in enumerate(cells))
    with pytest.raises(ConfigError, match=words):
        inspect_table(write(f"x,y\n{rows}"), target="y")


def test_a_mark_that_nobody_knows_is_found_among_numbers(write):
    rows = "".join(f"{n % 13 if n % 9 else 'unknown'},{'ab'[n % 2]}\n" for n in range(60))
    found = inspect_table(write(f"x,y\n{rows}"), target="y")
    assert found.used_as("number") == ("x",)


def test_numbers_and_codes_in_one_column_are_categories(write):
    rows = "".join(f"{['1', '2', '3+', 'x'][n % 4]},{'ab'[n % 2]}\n" for n in range(60))
    found = inspect_table(write(f"x,y\n{rows}"), target="y")
    assert found.used_as("category") == ("x",)
    assert found.columns[0].kind.kind == "unclear"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_semicolons_commas_and_korean(write, ending):
    import gzip

    rows = "".join(f"{n % 9},{n % 10};{'서울' if n % 2 else '부산'}\n" for n in range(60))
    content = f"값;도시\n{rows}".encode("cp949")
    path = write(gzip.compress(content) if ending else content, f"t.csv{ending}")
    found = inspect_table(path, target="도시")
    assert found.dialect == Dialect(delimiter=";", encoding="cp949", decimal=",")
    assert found.used_as("number") == ("값",)


def test_dates_whose_order_no_value_shows_are_not_guessed_at(write):
    rows = "".join(f"{n % 9 + 1}/{n % 7 + 1}/2024,{n % 5},{'ab'[n % 2]}\n" for n in range(60))
    found = inspect_table(write(f"d,x,y\n{rows}"), target="y")
    assert found.used_as("drop") == ("d",)
    assert "set data.day_first" in found.columns[0].kind.why


def test_two_ways_to_group_digits_in_one_file(write):
    rows = "".join(f'"{n + 1},000","{n}\'000",{"ab"[n % 2]}\n' for n in range(60))
    found = inspect_table(write(f"u,v,y\n{rows}"), target="y")
    assert len(found.used_as("number")) == len(found.used_as("drop")) == 1
    assert any("written otherwise" in column.kind.why for column in found.columns)
