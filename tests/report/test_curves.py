import math

import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError
from jaxtrain.report import LearningCurves, draw_curves
from jaxtrain.report import curves as module


def history(length, *names):
    return [
        {"epoch": e, "iteration": 9 * e, **dict.fromkeys(names, 1 / e + 0.1)}
        for e in range(1, length + 1)
    ]


def pixels(path):
    from matplotlib.image import imread

    return imread(path)


CLASSIFICATION = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    seen = []
    save = FigureCanvasAgg.print_png

    def print_png(canvas, *args, **kwargs):
        seen.append(canvas.figure)
        save(canvas, *args, **kwargs)

    monkeypatch.setattr(FigureCanvasAgg, "print_png", print_png)
    return seen


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_panel_for_the_loss_and_one_for_the_accuracy(tmp_path, figures):
    path = tmp_path / "curves.png"
    epochs = history(12, "train/accuracy", "learning_rate", *CLASSIFICATION)
    epochs[7]["val/loss"] = 0.01
    draw_curves(epochs, path, title="mnist")
    loss, accuracy = figures[0].axes
    assert loss.get_title(loc="left") == "loss"
    assert accuracy.get_title(loc="left") == "accuracy"
    assert labels(loss) == ["training", "validation", "best epoch (8): 0.01"]
    assert labels(accuracy) == ["training", "validation", "best epoch (8): 22.5%"]
    assert figures[0].get_suptitle() == "mnist"
    image = pixels(path)
    assert image.shape[1] > 1.5 * image.shape[0]
    assert np.unique(image.reshape(-1, image.shape[-1]), axis=0).shape[0] > 50


def test_the_monitor_decides_which_epoch_is_marked(tmp_path, figures):
    epochs = history(5, *CLASSIFICATION)  # the accuracy falls here, so its best is the first
    draw_curves(epochs, tmp_path / "a.png", monitor="val/accuracy", mode="max")
    assert labels(figures[0].axes[0])[2] == "best epoch (1): 1.1"


@pytest.mark.parametrize("length", [1, 2, 300])
def test_any_length_without_a_warning(tmp_path, length):
    draw_curves(history(length, *CLASSIFICATION), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_regression_without_validation_has_one_panel_and_no_mark(tmp_path, figures):
    draw_curves(history(5, "train/loss"), tmp_path / "a.png")
    (axes,) = figures[0].axes
    assert labels(axes) == ["training"]


def test_epochs_without_validation_are_bridged(tmp_path, figures):
    epochs = history(4, *CLASSIFICATION)
    del epochs[1]["val/loss"]
    draw_curves(epochs, tmp_path / "a.png")
    validation = figures[0].axes[0].lines[1]
    assert list(validation.get_xdata()) == [1, 3, 4]


def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_axis(tmp_path, figures):
    for factor, scale in ((20, "linear"), (40, "log")):
        epochs = [
            {"epoch": 1, "iteration": 1, "train/loss": 1.0},
            {"epoch": 2, "iteration": 2, "train/loss": 1.0 / factor},
        ]
        draw_curves(epochs, tmp_path / "a.png")
        assert figures[-1].axes[0].get_yscale() == scale


def test_nan_leaves_a_gap_and_nothing_worse(tmp_path, figures):
    epochs = history(4, *CLASSIFICATION)
    epochs[2]["train/loss"] = epochs[3]["val/loss"] = math.nan
    draw_curves(epochs, tmp_path / "a.png")
    loss, accuracy = figures[0].axes
    training, validation = loss.lines[:2]
    assert list(training.get_xdata()) == [1, 2, 4]
    assert list(validation.get_xdata()) == [1, 2, 3]
    assert labels(loss)[2].startswith("best epoch (3)"), "the fourth has no value"
    assert [list(line.get_xdata()) for line in accuracy.lines[:2]] == [[1, 2, 3, 4]] * 2
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_three_metrics_and_an_empty_corner(tmp_path, figures):
    draw_curves(history(3, *CLASSIFICATION, "val/mean_error"), tmp_path / "a.png")
    assert [axes.get_visible() for axes in figures[0].axes] == [True, True, True, False]
    assert figures[0].axes[2].get_title(loc="left") == "mean error"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nothing_finite_to_draw_is_said_in_the_picture(tmp_path, figures, bad):
    for epochs in (
        [],
        history(3, "learning_rate"),
        [row | dict.fromkeys(CLASSIFICATION, bad) for row in history(3)],
    ):
        draw_curves(epochs, tmp_path / "a.png")
        for axes in figures[-1].axes:
            assert [text.get_text() for text in axes.texts] == ["no finite value"]
    assert len(figures[-1].axes) == 2


def test_an_empty_panel_beside_a_full_one(tmp_path, figures):
    epochs = [row | {"train/accuracy": math.nan} for row in history(3, "train/loss", "val/loss")]
    draw_curves(epochs, tmp_path / "a.png")
    loss, accuracy = figures[0].axes
    assert len(labels(loss)) == 3
    assert [text.get_text() for text in accuracy.texts] == ["no finite value"]


@pytest.mark.parametrize("length", [1, 2, 3, 12, 100, 1000])
def test_the_axis_shows_the_epochs_there_are(tmp_path, figures, length):
    draw_curves(history(length, *CLASSIFICATION), tmp_path / "a.png")
    for axes in figures[0].axes:
        low, high = axes.get_xlim()
        assert 0 < low < 1 <= length < high < length + 1
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) for tick in ticks)


@pytest.mark.parametrize("length", [1, 2, 12, 100])
def test_the_legend_stands_clear_of_what_is_drawn(tmp_path, figures, length):
    epochs = history(length, *CLASSIFICATION)
    epochs[length // 2]["val/loss"] = 0.01
    draw_curves(epochs, tmp_path / "a.png", title="x")
    for axes in figures[0].axes:
        legend, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
        title = axes._left_title.get_window_extent()
        assert panel.y1 <= legend.y0 + 1
        assert legend.y1 <= title.y0 + 1
        assert legend.x1 <= panel.x1


def test_percents_have_the_digits_they_need_and_end_at_a_hundred(tmp_path, figures):
    epochs = history(4, "train/accuracy")
    for row, value in zip(epochs, (0.9, 0.97, 0.999, 1.0), strict=True):
        row["val/accuracy"] = row["train/accuracy"] = value
    draw_curves(epochs, tmp_path / "a.png", monitor="val/accuracy")
    (axes,) = figures[0].axes
    assert labels(axes)[2] == "best epoch (4): 100%"
    shown = [
        tick.get_text() for tick in axes.get_yticklabels() if 0.8 < tick.get_position()[1] <= 1
    ]
    assert "100%" in shown
    assert "90%" in shown
    assert axes.get_ylim()[1] < 1.01


def test_a_title_is_text_and_no_formula(tmp_path, figures):
    title = r"a$\frac$b"  # which TeX would not take
    draw_curves(history(2, "train/loss"), tmp_path / "a.png", title=title)
    assert figures[0].get_suptitle() == title
    assert not figures[0]._suptitle.get_parse_math()
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_pyplot_and_its_global_state_are_left_alone(tmp_path):
    import sys

    draw_curves(history(3, *CLASSIFICATION), tmp_path / "a.png")
    assert "matplotlib.pyplot" not in sys.modules


def run_with_curves(tmp_path, process=lambda engine, batch: {}):
    epochs = []
    engine = Engine(process)
    engine.attach(LearningCurves(tmp_path, epochs))
    engine.attach_handler(
        Events.EPOCH_COMPLETED,
        lambda e: epochs.append({"epoch": e.state.epoch, "iteration": 1, "train/loss": 0.5}),
        provides=("history",),
    )
    return engine


def test_the_hook_draws_once_at_the_end_of_a_short_run(tmp_path, figures):
    run_with_curves(tmp_path).run([0], max_epochs=3)
    assert len(figures) == 1
    assert (tmp_path / "learning_curves.png").exists()


def test_the_hook_draws_on_the_way_of_a_long_one(tmp_path, figures, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 0.0)
    run_with_curves(tmp_path).run([0], max_epochs=3)
    assert [len(figure.axes[0].lines[0].get_xdata()) for figure in figures] == [1, 2, 3, 3]


def test_the_hook_draws_when_a_run_is_interrupted_or_fails(tmp_path, figures):
    engine = run_with_curves(tmp_path)
    engine.attach_handler(Events.EPOCH_COMPLETED(once=2), lambda e: e.interrupt())
    engine.run([0], max_epochs=3)
    assert len(figures) == 1

    def fail(engine, batch):
        if engine.state.epoch == 3:
            raise RuntimeError("no more")

    engine = run_with_curves(tmp_path, fail)
    with pytest.raises(RuntimeError, match="no more"):
        engine.run([0], max_epochs=3)
    assert len(figures) == 2


def test_a_run_without_a_whole_epoch_leaves_no_picture(tmp_path):
    engine = run_with_curves(tmp_path)
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: e.terminate())
    engine.run([0, 0], max_epochs=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("no font"), OSError("disk full")])
def test_a_picture_that_can_not_be_drawn_does_not_end_the_run(tmp_path, monkeypatch, caplog, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("matplotlib.backends.backend_agg.FigureCanvasAgg.print_png", fail)
    engine = run_with_curves(tmp_path)
    engine.run([0], max_epochs=3)
    assert engine.state.epoch == 3
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"was not drawn: {type(error).__name__}: {error}" in record.getMessage()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_waits_for_its_next_picture(tmp_path, figures):
    engine = run_with_curves(tmp_path)
    engine.state.epoch = 1
    engine.fire(Events.RESUMED)
    engine.fire(Events.EPOCH_COMPLETED)
    assert figures == [], "it went on a moment ago"
    engine.fire(Events.COMPLETED)
    assert len(figures) == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), CheckpointError("gone")])
def test_where_the_disk_is_what_failed_no_picture_adds_a_line_to_it(tmp_path, caplog, error):
    def fail(engine, batch):
        raise error

    engine = run_with_curves(tmp_path, fail)
    with pytest.raises(type(error)):
        engine.run([0])
    assert list(tmp_path.iterdir()) == []
    assert caplog.text == ""
