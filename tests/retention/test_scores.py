"""Tests of jaxtrain.retention.scores."""

import json
import math
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.errors import DataError
from jaxtrain.retention import TaskScores, load_row, save_row
from tests.retention.small import drawn, questions

finite = st.floats(-9e99, 9e99)
examples = st.lists(
    st.tuples(st.floats(0, 1), finite, st.floats(1e-3, 1e6)), min_size=1, max_size=20
)


def test_means_are_weighted():
    scores = TaskScores([1, 0.5], [2.0, 4.0], [1, 3])
    assert scores.mean() == (1 + 1.5) / 4
    assert scores.mean_nll() == (2 + 12) / 4
    assert len(scores) == 2


def test_a_question_weighs_one():
    scores = questions(1, 4)
    assert scores.weight.tolist() == [1.0] * 4
    assert scores.mean() == 0.25


@pytest.mark.parametrize(
    "values", [np.array([True, False]), [1, 0], jnp.array([1.0, 0.0]), np.float32([1, 0])]
)
def test_any_numbers_are_kept_as_float64(values):
    scores = TaskScores(values, [1, 2])
    assert scores.score.dtype == scores.nll.dtype == np.float64
    assert scores.score.tolist() == [1.0, 0.0]


def test_nobody_can_change_them():
    given_to_it = np.array([0.5, 0.25])
    scores = TaskScores(given_to_it, [1.0, 2.0])
    given_to_it[0] = 1
    assert scores.score[0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        scores.score[0] = 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"score": [1, math.nan]}, "score: expected finite numbers, found nan at example 1"),
        ({"nll": [math.inf, 1]}, "nll: expected finite numbers, found inf at example 0"),
        ({"nll": [1, 1e100]}, "nll: expected finite numbers, found 1e\\+100 at example 1"),
        ({"score": [0, 1.5]}, "score: expected from 0 to 1, found 1.5 at example 1"),
        ({"score": [-0.1, 1]}, "score: expected from 0 to 1, found -0.1 at example 0"),
        ({"weight": [1, 0]}, "weight: expected above 0, found 0.0 at example 1"),
        ({"weight": [1, -1]}, "weight: expected above 0"),
        ({"nll": [1]}, "nll: expected 2 values, one an example as in score, found 1"),
        ({"weight": [1, 1, 1]}, "weight: expected 2 values"),
        ({"score": [], "nll": []}, "score: expected at least one example, found none"),
        ({"score": [[1], [0]]}, r"score: expected numbers \[n\].* found int64 of shape \(2, 1\)"),
        ({"score": 1.0}, r"score: expected numbers \[n\]"),
        ({"nll": ["a", "b"]}, r"nll: expected numbers \[n\]"),
        ({"nll": [1, [2, 3]]}, r"nll: expected numbers \[n\]"),
        ({"nll": [1, None]}, r"nll: expected numbers \[n\].* found object"),
        ({"nll": [1, 2j]}, r"nll: expected numbers \[n\].* found complex"),
    ],
)
def test_what_is_no_score_is_refused(options, says):
    with pytest.raises(DataError, match=says):
        TaskScores(**{"score": [1, 0], "nll": [1.0, 2.0]} | options)


@given(examples)
def test_json_holds_every_bit(rows):
    scores = TaskScores(*map(list, zip(*rows, strict=True)))
    again = TaskScores.from_json(json.loads(json.dumps(scores.to_json(), allow_nan=False)))
    assert again == scores
    assert [again.score.tobytes(), again.nll.tobytes()] == [
        scores.score.tobytes(),
        scores.nll.tobytes(),
    ]


@given(examples, st.randoms(use_true_random=False))
def test_the_order_of_the_examples_changes_no_bit_of_a_mean(rows, random):
    scores = TaskScores(*map(list, zip(*rows, strict=True)))
    random.shuffle(rows)
    other = TaskScores(*map(list, zip(*rows, strict=True)))
    assert other.mean() == scores.mean()
    assert other.mean_nll() == scores.mean_nll()


def test_scores_are_equal_where_all_numbers_are():
    assert questions(2) == questions(2)
    assert questions(2) != questions(3)
    assert questions(2) != questions(2, nll=2.0)
    assert questions(2) != TaskScores(questions(2).score, questions(2).nll, [1, 1, 1, 2])
    assert questions(2) != questions(2, 5)
    assert questions(2) != "scores"


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"score": [1], "nll": [1]},
        {"score": [1], "nll": [1], "weight": [1], "more": 1},
        {"score": 1, "nll": [1], "weight": [1]},
        {"score": [True], "nll": "a", "weight": [1]},
        {"score": [1], "nll": [1], "weight": None},
        {"score": [1], "nll": [1], "weight": []},
        {"score": [1], "nll": [10**400], "weight": [1]},
    ],
)
def test_other_json_is_refused(record):
    with pytest.raises(DataError):
        TaskScores.from_json(record)


def test_other_examples_are_refused():
    questions(1).refuse_others(questions(3), what="a")
    with pytest.raises(DataError, match="a: expected the same 4 examples as before, found 5"):
        questions(1).refuse_others(questions(1, 5), what="a")
    other = TaskScores([1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 2, 1])
    with pytest.raises(DataError, match="the weight of example 2 was 1 and is 2"):
        questions(1).refuse_others(other, what="a")


def test_a_row_comes_back_as_it_was(tmp_path):
    row = {"한국어": drawn(1, 30, tokens=True), "a.score": questions(2), "/x": questions(1, 1)}
    assert save_row(tmp_path / "row.npz", row) == tmp_path / "row.npz"
    again = load_row(tmp_path / "row.npz")
    assert again == row
    assert list(again) == list(row)
    save_row(tmp_path / "other.npz", row)
    assert (tmp_path / "other.npz").read_bytes() == (tmp_path / "row.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.npz", "row.npz"]


def test_a_row_is_written_under_the_name_it_was_given(tmp_path):
    """NumPy adds .npz to a name without it, and the file would be another."""
    save_row(tmp_path / "row", {"a": questions(1)})
    assert load_row(tmp_path / "row") == {"a": questions(1)}


@pytest.mark.parametrize("names", [("",), ("a\nb",), ("a\0",), (1,), ("  ",)])
def test_names_that_are_none_are_refused(tmp_path, names):
    with pytest.raises(DataError, match="the tasks: expected names that can be printed"):
        save_row(tmp_path / "row.npz", dict.fromkeys(names, questions(1)))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_not_called_broken(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_row(tmp_path / "row.npz")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "row.npz"
    arrays = (
        {"a": np.ones(3)},
        {"tasks": np.array(["a"])},
        {"tasks": np.array(["a", "a"])},
        {"tasks": np.array([None], object)},
    )
    for number, others in enumerate(arrays):
        np.savez(tmp_path / f"{number}.npz", **others)
    np.save(tmp_path / "lone.npy", np.ones(3))
    contents = [file.read_bytes() for file in tmp_path.iterdir()]
    for content in (b"", b"scores", *contents):
        path.write_bytes(content)
        with pytest.raises(DataError, match="can't be read as scores of tasks"):
            load_row(path)


def test_a_task_more_than_the_list_names_is_not_lost(tmp_path):
    path = tmp_path / "row.npz"
    save_row(path, {"a": questions(1)})
    with zipfile.ZipFile(path, "a") as file, file.open("1.score.npy", "w") as member:
        np.save(member, np.ones(4))
    with pytest.raises(DataError, match="expected 1 tasks, found"):
        load_row(path)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_row_is_told_or_read_as_it_was(tmp_path_factory, where, byte):
    """Zip files keep a checksum; what it does not cover may be damaged without harm."""
    path = tmp_path_factory.mktemp("row") / "row.npz"
    row = {"a": questions(1), "b": drawn(0, 5)}
    save_row(path, row)
    content = bytearray(path.read_bytes())
    content[where % len(content)] = byte
    path.write_bytes(content)
    try:
        assert load_row(path) == row
    except DataError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017
