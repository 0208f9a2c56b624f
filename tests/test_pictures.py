"""What all pictures have in common."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from PIL import Image

from jaxtrain import pictures


def test_a_figure_is_written_whole_and_is_the_same_each_time(tmp_path):
    for name in ("a.png", "b.png"):
        figure, axes = pictures.new_figure(3, 2, title="a $ and another $")
        pictures.tidy(axes)
        axes.plot([0, 1], [1, 0], color=pictures.LINE, label="loss")
        pictures.legend_above(axes)
        assert pictures.written(figure, tmp_path / name) is figure
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (450, 300)  # 150 dots an inch


def test_several_axes():
    _, axes = pictures.new_figure(3, 2, rows=2, columns=3)
    assert np.shape(axes) == (2, 3)


def test_no_window_and_no_state_of_its_own():
    program = "from jaxtrain import pictures; pictures.new_figure(1, 1); import sys; "
    program += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
