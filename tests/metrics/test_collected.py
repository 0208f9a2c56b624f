"""How exact metrics keep rows and refuse them; what they come to, test_roc_auc.py says."""

import jax
import numpy as np
import pytest

from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.metrics import ExactAveragePrecision, ExactRocAuc, HostMetric, is_host_metric

each = pytest.mark.parametrize("cls", [ExactRocAuc, ExactAveragePrecision])


@each
def test_it_is_a_metric_of_the_class_form_and_a_value(cls):
    assert isinstance(cls(), HostMetric)
    assert is_host_metric(cls())
    assert cls(num_classes=3) == cls(num_classes=3)
    assert hash(cls()) == hash(cls())
    assert cls() != cls(max_rows=9)


@each
def test_more_rows_than_it_may_keep_are_an_error_that_names_the_binned_one(cls):
    metric = cls(max_rows=5)
    output = {"outputs": np.ones(3), "labels": np.array([0, 1, 0]), "mask": np.array([1, 1, 0])}
    metric.update(output)
    metric.update(output)  # 4 that count
    match = rf"keeps at most max_rows=5 rows, found 6; take {cls.binned}, whose memory .*10 bytes"
    with pytest.raises(ConfigError, match=match):
        metric.update(output)
    metric.reset()
    metric.update(output)
    with pytest.raises(ValueError, match="max_rows: expected at least 1, found 0"):
        cls(max_rows=0)


@each
def test_nothing_is_nan_and_so_is_a_score_that_is_none(cls):
    metric = cls()
    assert np.isnan(metric.compute())
    metric.update({"outputs": np.ones(2), "labels": np.array([0, 1]), "mask": np.zeros(2)})
    assert np.isnan(metric.compute())
    nan = np.array([0.0, np.nan])
    metric.update({"outputs": nan, "labels": np.array([0, 9]), "mask": np.array([1, 0])})
    assert not np.isnan(metric.compute()) or cls is ExactRocAuc  # which is of both sides
    metric.update({"outputs": nan, "labels": np.array([0, 1])})
    assert np.isnan(metric.compute())
    metric.reset()
    metric.update({"outputs": np.ones(2), "labels": np.array([0, 1])})
    assert metric.compute() == 0.5


@each
def test_a_label_that_is_no_class_is_refused(cls):
    with pytest.raises(DataError, match=r"row 1 of a batch has a label that is not 0 or 1; its hi"):
        cls().update({"outputs": np.array([0.5, 2.0]), "labels": np.array([1, 2])})
    with pytest.raises(DataError, match="a label that is not 0 to 2"):
        cls(num_classes=3).update({"outputs": np.eye(3), "labels": np.array([0, 1, 3])})
    cls(ignore_label=2).update({"outputs": np.array([0.5, 2.0]), "labels": np.array([1, 2])})


@each
def test_a_probability_outside_of_0_to_1_is_refused(cls):
    output = {"outputs": np.array([0.5, 1.5]), "labels": np.array([1, 0])}
    with pytest.raises(DataError, match=r"not between 0 and 1; its highest score is 1.5.*'logits'"):
        cls(scores="probabilities").update(output)
    cls(scores="probabilities").update({**output, "mask": np.array([1, 0])})


@each
def test_it_says_beforehand_what_it_can_not_read(cls):
    shapes = {
        "outputs": jax.ShapeDtypeStruct((4, 3), np.float32),
        "labels": jax.ShapeDtypeStruct((4,), np.int32),
    }
    cls(num_classes=3).refuse_misfit(shapes)
    with pytest.raises(DataError, match=f"{cls.__name__} of 2 classes wants"):
        cls().refuse_misfit(shapes)


def test_an_engine_computes_it_each_epoch_anew():
    engine = Engine(lambda engine, batch: batch)
    engine.add_metrics({"auc": ExactRocAuc()})
    good = {"outputs": np.array([0.0, 1.0]), "labels": np.array([0, 1])}
    bad = {"outputs": np.array([0.0, 1.0]), "labels": np.array([1, 0])}
    assert engine.run([good, bad], max_epochs=3).metrics == {"auc": 0.5}
    assert engine.run([good], max_epochs=4).metrics == {"auc": 1.0}
    with pytest.raises(DataError, match="metric 'auc': the metric ExactRocAuc: row 0"):
        engine.run([{**good, "labels": np.array([5, 5])}], max_epochs=5)
