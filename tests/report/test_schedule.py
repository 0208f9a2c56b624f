import numpy as np
import pytest

from jaxtrain.config import ScheduleSection
from jaxtrain.errors import ConfigError
from jaxtrain.optim import make_schedule, step
from jaxtrain.report import plot_lr_find, plot_schedule
from jaxtrain.step import RateSweep


def lines(figure):
    return [np.asarray(line.get_xydata()) for line in figure.axes[0].lines]


def test_the_rate_of_each_step_is_drawn(tmp_path):
    path = tmp_path / "schedule.png"
    figure = plot_schedule(step(0.4, 6, 2, every=2, factor=0.5), 6, path, title="costs $5")
    (found,) = lines(figure)
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert found[:, 1] == pytest.approx([0.4] * 4 + [0.2] * 2)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps done", "learning rate")
    assert axes.get_ylim()[0] == 0
    assert figure.get_suptitle() == "costs $5"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_of_a_section_in_epochs(tmp_path):
    section = ScheduleSection(warmup_epochs=1.0)
    schedule = make_schedule(section, 0.1, 8, steps_per_epoch=4)
    figure = plot_schedule(schedule, 8, tmp_path / "x.png", steps_per_epoch=4)
    (found,) = lines(figure)
    assert found[:, 0].tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]
    assert found[:, 1] == pytest.approx([0, 0.025, 0.05, 0.075] + [0.1] * 4)
    assert figure.axes[0].get_xlabel() == "epochs done"


def test_a_number_is_a_level_line(tmp_path):
    (found,) = lines(plot_schedule(0.1, 3, tmp_path / "x.png"))
    assert found.tolist() == [[0, 0.1], [1, 0.1], [2, 0.1]]


def test_of_no_step_there_is_no_picture(tmp_path):
    with pytest.raises(ConfigError, match="total_steps: expected at least 1, found 0"):
        plot_schedule(0.1, 0, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_a_sweep_and_what_it_suggests(tmp_path):
    sweep = RateSweep((0.01, 0.1, 1.0), (3.0, 1.0, 9.0), (3.0, 2.0, 4.0), 0.1, True)
    figure = plot_lr_find(sweep, tmp_path / "x.png")
    losses, smoothed, mark = lines(figure)
    assert losses.tolist() == [[0.01, 3], [0.1, 1], [1, 9]]
    assert smoothed.tolist() == [[0.01, 3], [0.1, 2], [1, 4]]
    assert mark.tolist() == [[0.1, 2]]
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_legend().get_texts()[-1].get_text() == "suggested: 0.1"
    nothing = RateSweep((0.01, 0.1), (1.0, 2.0), (1.0, 1.5), None, False)
    assert len(lines(plot_lr_find(nothing, tmp_path / "x.png"))) == 2
