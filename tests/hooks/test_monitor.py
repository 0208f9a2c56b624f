import math

import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError
from jaxtrain.hooks import History, Monitor
from jaxtrain.metrics import Mean


@pytest.mark.parametrize(
    ("mode", "value", "best", "improves"),
    [
        ("min", 0.4, 0.5, True),
        ("min", 0.5, 0.5, False),
        ("max", 0.6, 0.5, True),
        ("max", 0.4, 0.5, False),
        ("max", -1.0, None, True),
        ("min", math.nan, None, False),
        ("min", math.nan, 0.5, False),
        ("min", 0.5, math.inf, True),
        ("min", 0.5, math.nan, True),
        ("max", 0.5, math.nan, True),
        ("max", math.nan, math.nan, False),
        ("max", 0.5, 0.5, False),
        ("max", None, 0.5, False),
    ],
)
def test_improves(mode, value, best, improves):
    assert Monitor("x", mode).improves(value, best) is improves


def test_min_delta_has_to_be_exceeded():
    monitor = Monitor("x", "max", min_delta=0.25)
    assert not monitor.improves(0.75, 0.5)
    assert monitor.improves(0.76, 0.5)


def test_an_unknown_metric_is_told_with_those_there_are():
    with pytest.raises(ConfigError) as error:
        Monitor("val/los").read({"val/loss": 1.0, "train/loss": 2.0})
    assert str(error.value) == (
        "monitor: no metric is called 'val/los'; did you mean 'val/loss'? "
        "(this run has: train/loss, val/loss)"
    )


def test_mode_and_min_delta_are_checked():
    with pytest.raises(ConfigError, match="mode: expected 'auto', 'min' or 'max', found 'lowest'"):
        Monitor("x", "lowest")
    with pytest.raises(ConfigError, match=r"min_delta: .* found -1"):
        Monitor("x", min_delta=-1)
    with pytest.raises(ConfigError, match=r"min_delta: .* found nan"):
        Monitor("x", min_delta=math.nan)


def test_which_way_is_better_goes_by_the_name_unless_it_is_said():
    assert Monitor("val/accuracy").improves(0.6, 0.5)
    assert not Monitor("val/loss").improves(0.6, 0.5)
    assert Monitor("val/loss", "max").improves(0.6, 0.5)
    assert Monitor("val/accuracy", "min").direction == "min"


def test_a_metric_that_nobody_provides_is_told_with_those_that_are():
    engine = Engine(lambda engine, batch: {})
    engine.attach(History())  # what it provides is no metric
    with pytest.raises(ConfigError, match=r"'val/loss' \(this run has: none; a handler that"):
        Monitor("val/loss").require(engine)
    engine.add_metrics({"train/loss": Mean("loss")})
    engine.attach_handler(Events.EPOCH_COMPLETED, print, provides=("metrics", "val/loss"))
    Monitor("val/loss").require(engine)
    Monitor("train/loss").require(engine)
    for name in ("metrics", "history", "loss"):
        with pytest.raises(ConfigError, match=r"\(this run has: train/loss, val/loss; "):
            Monitor(name).require(engine)


def test_what_is_no_number_is_told():
    with pytest.raises(ConfigError, match="'val/matrix' is no number that could be better"):
        Monitor("val/matrix").read({"val/matrix": np.eye(2)})
    assert Monitor("val/loss").read({"val/loss": np.float32(0.5)}) == 0.5
