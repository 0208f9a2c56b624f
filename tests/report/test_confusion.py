"""The picture of a confusion matrix: what stands in which cell."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.report import draw_confusion

MATRIX = [[8, 2, 0], [0, 0, 0], [1, 3, 4]]


def test_counts_stand_in_their_cells_and_colours_are_shares_of_the_row(tmp_path):
    path = tmp_path / "matrix.png"
    figure = draw_confusion(MATRIX, path, names=("cat", "$dog", "bird"), title="costs $5")
    assert path.read_bytes().startswith(b"\x89PNG")
    axes = figure.axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "8", (1, 0): "2", (0, 2): "1", (1, 2): "3", (2, 2): "4"}
    (image,) = axes.images
    expected = [[0.8, 0.2, 0], [0, 0, 0], [0.125, 0.375, 0.5]]
    assert np.asarray(image.get_array()) == pytest.approx(np.array(expected))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "$dog", "bird"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("taken for", "is")
    assert figure.get_suptitle() == "costs $5"


def test_ink_that_can_be_read(tmp_path):
    axes = draw_confusion(MATRIX, tmp_path / "x.png").axes[0]
    inks = {text.get_position(): text.get_color() for text in axes.texts}
    assert (inks[0, 0], inks[1, 0], inks[1, 2]) == ("black", "white", "black")


def test_many_classes_are_colours_and_some_of_their_names(tmp_path):
    axes = draw_confusion(np.eye(100), tmp_path / "x.png").axes[0]
    assert not axes.texts
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [str(number) for number in range(0, 100, 4)]


@pytest.mark.parametrize(
    ("matrix", "names", "told"),
    [
        ([[1, 2]], (), r"expected \[K, K\], found \[1, 2\]"),
        ([], (), r"expected \[K, K\]"),
        ([[1, -1], [0, 0]], (), "counts from 0 on"),
        ([[1, np.nan], [0, 0]], (), "counts from 0 on"),
        ([[1, 0], [0, 1]], ("a",), "of 2 classes: found 1 names"),
    ],
)
def test_what_is_no_matrix(tmp_path, matrix, names, told):
    with pytest.raises(DataError, match=told):
        draw_confusion(matrix, tmp_path / "x.png", names=names)
    assert not (tmp_path / "x.png").exists()
