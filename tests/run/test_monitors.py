from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run import Experiment
from jaxtrain.run.monitors import monitors, refuse_unknown_monitors


def test_every_section_that_has_one_is_named_by_its_key(digits):
    config = digits("hooks.stop.name=early_stopping", "hooks.stop.monitor=val/accuracy")
    assert monitors(config) == {"checkpoint": "val/loss", "hooks.stop": "val/accuracy"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["hooks.stop.name=early_stopping", "hooks.stop.monitor=val/acuracy"],
            r"hooks\.stop\.monitor: no metric is called 'val/acuracy'; did you mean "
            r"'val/accuracy'\? \(this run has: train/accuracy, train/loss, val/accuracy, val/l",
        ),
        (["data.validation_fraction=0"], r"checkpoint\.monitor: .*'val/loss'.*train/loss\)"),
        (
            ["metrics=[accuracy]"],
            r"checkpoint\.monitor: .*\(this run has: train/acc\w+, val/acc\w+\)",
        ),
        (["checkpoint.monitor=metrics"], r"checkpoint\.monitor: no metric is called 'metrics'"),
        (["checkpoint.monitor=history"], r"checkpoint\.monitor: no metric is called 'history'"),
    ],
)
def test_one_that_nobody_provides_is_refused(digits, tmp_path, overrides, message):
    experiment = Experiment.of(digits(*overrides), tmp_path / "run")
    with pytest.raises(ConfigError, match=message):
        refuse_unknown_monitors(experiment.config, experiment.trainer, experiment.task.metrics())
    with pytest.raises(ConfigError, match=message):
        experiment.train()
    assert not (tmp_path / "run").exists()


def test_a_metric_that_is_named_can_be_the_monitor(digits, tmp_path):
    config = digits("metrics=[loss, {name: accuracy, top_k: 3}]", "checkpoint.monitor=val/accuracy")
    figures = Experiment.of(config, tmp_path / "run").train()
    assert figures["monitor"] == "val/accuracy"


@pytest.mark.parametrize("monitor", ["train/matrix", "val/matrix"])
def test_one_that_is_no_number_is_refused(digits, tmp_path, monitor):
    words = ["metrics.matrix.name=confusion_matrix", f"checkpoint.monitor={monitor}"]
    experiment = Experiment.of(digits(*words), tmp_path / "run")
    with pytest.raises(
        ConfigError, match=rf"checkpoint.monitor: '{monitor}' is no number .*\[10, 10\]"
    ):
        experiment.train()
