"""Tests of jaxtrain.report.page.confusion."""

import pytest

from jaxtrain.report.page.confusion import (
    add_confusion,
    class_names,
    matrices_of,
    matrix_figure,
    row_shares,
)
from jaxtrain.report.page.content import Content
from tests.report.page.small import HOSTILE, written

MATRIX = [[8, 2, 0], [0, 5, 0], [3, 1, 6]]


def test_what_is_a_matrix():
    summary = {
        "test_confusion_matrix": MATRIX,
        "test_shares": [[0.5, None], [0.0, 1.0]],
        "test_loss": 0.3,
        "final_matrix": MATRIX,
        "test_row": [1, 2],
        "test_torn": [[1, 2], [1]],
        "test_wide": [[1, 2, 3], [1, 2, 3]],
        "test_text": [["a", "b"], ["a", "b"]],
        "test_one": [[1]],
    }
    assert list(matrices_of(summary)) == ["test_confusion_matrix", "test_shares"]


def test_shares_are_of_the_row():
    assert row_shares(MATRIX) == [[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.3, 0.1, 0.6]]
    assert row_shares([[None, 1], [0, 0]]) == [[None, None], [None, None]]


def test_right_and_wrong_have_scales_of_their_own():
    figure = matrix_figure(MATRIX, ["a", "b", "c"])
    right, wrong = figure["data"]
    assert right["z"] == [[0.8, None, None], [None, 1.0, None], [None, None, 0.6]]
    assert wrong["z"] == [[None, 0.2, 0.0], [0.0, None, 0.0], [0.3, 0.1, None]]
    assert (right["zmax"], wrong["zmax"]) == (1, 0.3)
    assert right["text"][0] == ["8<br>80 %", "", ""]
    assert wrong["text"] == [["", "2<br>20 %", ""], ["", "", ""], ["3<br>30 %", "1<br>10 %", ""]]
    assert wrong["hovertext"][2][0] == "true: c<br>predicted: a<br>3 (30 % of its row)"
    assert figure["layout"]["xaxis"]["title"]["text"] == "predicted class"
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"  # as a matrix is written


def test_many_classes_are_colours_alone():
    many = [[float(i == j) for j in range(21)] for i in range(21)]
    figure = matrix_figure(many, [str(i) for i in range(21)])
    assert figure["data"][0]["texttemplate"] == ""
    assert figure["width"] == 0
    assert matrix_figure(MATRIX, "abc")["data"][0]["texttemplate"] == "%{text}"


def test_the_section(tmp_path):
    summary = {"test_confusion_matrix": MATRIX}
    names = ["crow", HOSTILE, "owl"]
    record = written(tmp_path, summary=summary, label_names=names)
    content = Content("a")
    add_confusion(content, record)
    (section,) = content.sections
    assert "owl taken for crow: 3 of 10" in section.html
    assert section.html.index("owl taken for crow") < section.html.index("crow taken for &lt;/scr")
    assert '<th scope="row">owl</th>' in section.html
    assert "<img" not in section.html
    ticks = content.figures["confusion:test_confusion_matrix"]["layout"]["xaxis"]["ticktext"]
    assert ticks[0] == "crow"
    assert "<" not in ticks[1]


@pytest.mark.parametrize("said", [None, [], ["a"], "ab"])
def test_classes_without_names_are_numbers(tmp_path, said):
    assert class_names(written(tmp_path, label_names=said), 2) == ["0", "1"]


def test_without_a_matrix_there_is_no_section(tmp_path):
    content = Content("a")
    add_confusion(content, written(tmp_path, summary={"test_loss": 0.1}))
    assert (content.sections, content.figures) == ([], {})


def test_a_matrix_without_mistakes_says_nothing_of_them(tmp_path):
    content = Content("a")
    add_confusion(content, written(tmp_path, summary={"test_confusion": [[1, 0], [0, 1]]}))
    assert "Most often" not in content.sections[0].html
