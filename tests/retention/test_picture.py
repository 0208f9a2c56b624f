"""Tests of jaxtrain.retention.picture."""

import re
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from jaxtrain.retention import RetentionMatrix, RetentionReport, draw_retention
from tests.retention.small import TASKS, matrix, questions


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved."""
    found = []
    save = FigureCanvasAgg.print_png

    def keep(self, *args, **kwargs):
        found.append(self.figure)
        save(self, *args, **kwargs)

    monkeypatch.setattr(FigureCanvasAgg, "print_png", keep)
    return found


def report(built=None):
    return RetentionReport.of(built or matrix(), resamples=100)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_every_cell_is_a_colour_and_figures(tmp_path, figures):
    draw_retention(report(), tmp_path / "a.png", title="small")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    axes, bar = figures[0].axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), matrix().values())
    assert image.get_clim() == (0, 1)
    assert image.get_cmap().name == "cividis"
    written = texts(axes)
    assert len(written) == 2 * 16
    assert written[0] == "25.0 %"
    assert re.search(r"\n2\.5[12] nats$", written[9])
    first = report().scores[0]["a"]
    assert written[1].startswith(f"{100 * first.low:.1f} to {100 * first.high:.1f}\n")
    assert bar.get_ylabel() == "score, %"
    assert figures[0].get_suptitle() == "small"


def test_rows_are_phases_and_columns_tasks(tmp_path, figures):
    draw_retention(report(), tmp_path / "a.png")
    axes = figures[0].axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "base model", "after first", "after second", "after third",
    ]  # fmt: skip
    assert [t.get_text() for t in axes.get_xticklabels()] == [*TASKS, "text\n(untrained)"]


def test_a_task_after_its_own_phase_has_a_frame(tmp_path, figures):
    draw_retention(report(), tmp_path / "a.png")
    frames = [p for p in figures[0].axes[0].patches if isinstance(p, Rectangle)]
    centres = [
        (frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2)
        for frame in frames
    ]
    np.testing.assert_allclose(centres, [(0, 1), (1, 2), (2, 3)], atol=1e-9)


def test_figures_can_be_read_on_their_colour(tmp_path, figures):
    draw_retention(report(), tmp_path / "a.png")
    axes = figures[0].axes[0]
    (image,) = axes.images
    for text in axes.texts:
        column, row = round(text.get_position()[0]), round(text.get_position()[1])
        red, green, blue, _ = image.cmap(image.norm(image.get_array()[row, column]))
        bright = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        contrast = (1.05 if text.get_color() == "white" else bright + 0.05) / (
            bright + 0.05 if text.get_color() == "white" else 0.05
        )
        assert contrast > 3.9


def test_what_was_not_evaluated_says_so(tmp_path, figures):
    rows = ({"a": questions(1)}, {"a": questions(2), "b": questions(1)})
    built = RetentionMatrix(tasks=("a",), untrained=("b",), rows=rows)
    draw_retention(report(built), tmp_path / "a.png")
    assert texts(figures[0].axes[0]).count("not\nevaluated") == 1


def test_a_name_is_text_and_no_formula(tmp_path, figures):
    name = r"a$\frac$b"  # which TeX would not take
    rows = ({name: questions(1)}, {name: questions(2)})
    draw_retention(
        report(RetentionMatrix(tasks=(name,), rows=rows)), tmp_path / "a.png", title=name
    )
    axes = figures[0].axes[0]
    assert axes.get_xticklabels()[0].get_text() == name
    assert figures[0].get_suptitle() == name


def test_pyplot_and_its_global_state_are_left_alone(tmp_path):
    draw_retention(report(matrix(1)), tmp_path / "a.png")
    assert "matplotlib.pyplot" not in sys.modules


def test_a_picture_that_can_not_be_drawn_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise RuntimeError("no font")

    monkeypatch.setattr(FigureCanvasAgg, "print_png", fail)
    with pytest.raises(RuntimeError, match="no font"):
        draw_retention(report(matrix(1)), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
