"""Tests of jaxtrain.report.page.panels."""

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.panels import add_curves, best_epoch, panels_of
from jaxtrain.report.page.series import POINTS, series_of
from tests.report.page.small import CONFIG, HOSTILE, SUMMARY, epochs, written


def test_training_and_validation_share_a_panel():
    panels = panels_of(series_of(epochs()))
    assert [panel.title for panel in panels] == ["loss", "accuracy", "learning_rate"]
    assert [(curve.label, curve.faint) for curve in panels[0].curves] == [
        ("single steps", True), ("training", False), ("validation", False),
    ]  # fmt: skip
    assert len({curve.colour for curve in panels[0].curves}) == 3
    assert panels[0].said == (
        "loss: single steps ends at 0.25; training ends at 0.25; validation ends at 0.5"
    )
    assert panels[1].said == "accuracy: validation ends at 90 %"


def test_one_name_on_two_axes_is_two_panels():
    rows = [
        {"event": "log", "iteration": 1, "epoch": 0, "step": 1, "reward": 1.0},
        {"event": "log", "iteration": 1, "epoch": 0, "step": 3, "axis": "game", "reward": 1.0},
    ]
    panels = panels_of(series_of(rows))
    assert [(p.title, p.axis) for p in panels] == [
        ("reward by step", "step"), ("reward by game", "game"),
    ]  # fmt: skip
    assert [p.to_json()["axis"] for p in panels] == ["", "game"]
    assert len({p.key for p in panels}) == 2


def test_the_best_epoch_is_marked_where_it_was_validated(tmp_path):
    content = Content("a")
    add_curves(content, written(tmp_path, rows=epochs(), summary=SUMMARY))
    loss, accuracy = content.figures["curve:step:loss"], content.figures["curve:step:accuracy"]
    assert loss["point"] == (30, 3.0, 0.25, "best epoch (3): 0.25")
    assert accuracy["point"] == (30, 3.0, 0.8, "best epoch (3): 80 %")
    assert content.figures["curve:step:learning_rate"]["point"] is None
    assert loss["curves"][2]["x"] == [10, 20, 30, 40]
    assert loss["curves"][2]["y"] == [0.5, 0.5, 0.25, 0.5]
    assert loss["curves"][0]["epochs"] == [0.5, 1.5, 2.5, 3.5]
    assert (loss["share"], accuracy["share"]) == (False, True)


def test_the_config_says_what_is_monitored_where_no_report_does(tmp_path):
    def best(name, **section):
        config = {**CONFIG, "checkpoint": section}
        row, monitor = best_epoch(written(tmp_path / name, rows=epochs(), config=config))
        return None if row is None else row["epoch"], monitor

    assert best("a", monitor="val/accuracy", mode="auto") == (4, "val/accuracy")
    assert best("b", monitor="val/accuracy", mode="min") == (1, "val/accuracy")
    assert best("c", monitor="val/loss", mode="max") == (1, "val/loss")
    assert best("d", monitor=3) == (3, "val/loss")
    assert best("e", monitor="val/f1") == (None, "val/f1")
    row, monitor = best_epoch(written(tmp_path / "f", config={"checkpoint": "x"}))
    assert (row, monitor) == (None, "val/loss")


def test_a_panel_says_what_it_leaves_out(tmp_path):
    rows = [
        {"event": "iteration", "iteration": at, "loss": None if at % 1000 == 7 else 1.0 / (at + 1)}
        for at in range(3 * POINTS)
    ]
    content = Content("a")
    add_curves(content, written(tmp_path, rows=rows))
    figure = content.figures["curve:step:loss"]
    drawn = len(figure["curves"][0]["x"])
    assert drawn <= POINTS + 8
    assert figure["note"] == (
        f"not a finite number: 6 values; drawn: {drawn:,} of 6,000 values, the smallest and "
        "largest of each stretch"
    )


def test_tools_are_those_that_there_is_a_use_for(tmp_path):
    def tools(name, rows):
        content = Content("a")
        add_curves(content, written(tmp_path / name, rows=rows))
        return content.sections[0].tools if content.sections else None

    assert tools("none", []) is None
    assert 'id="over"' in tools("epochs", epochs())
    script = [{"event": "log", "iteration": 0, "step": 1, **{f"m{i}": i for i in range(9)}}]
    assert 'id="over"' not in tools("script", script)
    assert 'id="filter"' in tools("many", script)
    assert 'id="filter"' not in tools("few", epochs())


def test_names_are_texts(tmp_path):
    rows = [{"event": "log", "iteration": 0, "step": 1, "axis": HOSTILE, HOSTILE: 1.0}]
    content = Content("a")
    add_curves(content, written(tmp_path, rows=rows))
    (figure,) = content.figures.values()
    assert "<" not in figure["axis"] + figure["curves"][0]["label"]
    assert HOSTILE not in content.sections[0].html
