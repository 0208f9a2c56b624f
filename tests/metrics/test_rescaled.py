"""Metrics in the unit of the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from jaxtrain.data import TargetScale
from jaxtrain.errors import DataError
from jaxtrain.metrics import (
    HostRescaled,
    Loss,
    Mean,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    R2Score,
    Rescaled,
    RootMeanSquaredError,
    in_data_unit,
    is_host_metric,
)


def value(metric, *outputs):
    state = metric.empty()
    for output in outputs:
        state = metric.update(state, output)
    return float(metric.compute(state))


def standardised(shape, seed=0):
    """Targets in grammes, what a model says of them, and both as a source and a model give them."""
    generator = np.random.default_rng(seed)
    grammes = generator.normal(4200, 800, size=shape)
    if shape[1:] == (3,):
        grammes = grammes * [1, 1000, 0.001]
    said = grammes + generator.normal(0, 90, size=shape) * grammes.std(axis=0) / 800
    scale = TargetScale.fit(grammes)
    output = {"outputs": scale.standardise(said), "labels": scale.standardise(grammes)}
    return grammes, said, scale, output


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 3)])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_figure_is_in_the_unit_of_the_data(shape, compiled):
    grammes, said, scale, output = standardised(shape)
    metric = Rescaled(MeanAbsoluteError(), scale.mean, scale.deviation)
    assert isinstance(metric, Metric)
    assert hash(metric) == hash(Rescaled(MeanAbsoluteError(), scale.mean, scale.deviation))
    update = jax.jit(metric.update) if compiled else metric.update
    found = float(metric.compute(update(metric.empty(), output)))
    assert found == pytest.approx(mean_absolute_error(grammes, said), rel=1e-5)


def test_flat_labels_go_with_outputs_of_one_column():
    grammes, said, scale, output = standardised((40,))
    output["outputs"] = output["outputs"][:, None].astype(np.float16)
    found = value(Rescaled(MeanAbsoluteError(), scale.mean, scale.deviation), output)
    assert found == pytest.approx(mean_absolute_error(grammes, said), rel=1e-2)


def test_all_else_passes_through():
    output = {
        "outputs": np.ones(2),
        "labels": np.zeros(2),
        "loss_sum": np.float32(6.0),
        "loss_weight": np.float32(2.0),
        "grad_norm": np.float32(0.5),
        "mask": np.array([1.0, 0.0]),
    }
    scaled = (100.0,), (10.0,)
    assert value(Rescaled(Loss(), *scaled), output) == 3.0
    assert value(Rescaled(Mean("grad_norm"), *scaled), output) == 0.5
    assert value(Rescaled(Mean("outputs"), *scaled), output) == 110.0  # the level of it, too
    assert value(Rescaled(Mean("labels"), *scaled), output) == 100.0
    assert output["outputs"].tolist() == [1, 1]
    assert value(Rescaled(Mean("a"), *scaled), {"a": np.float32(1.5)}) == 1.5


def test_whatever_the_path_that_a_metric_reads():
    labels = np.array([0.0, 1.0, 2.0], np.float32)
    tree = {
        "depth": (labels[:, None] + 1, np.full(3, 7, np.int32)),
        "embedding": np.full((3, 8), 7, np.float32),
    }
    output = {"outputs": tree, "labels": labels}
    scale = (100.0,), (10.0,)
    assert value(Rescaled(MeanAbsoluteError(outputs="outputs.depth.0"), *scale), output) == 10.0
    assert value(Rescaled(Mean("outputs.depth.0"), *scale), output) == 120.0
    assert value(Rescaled(Mean("outputs.depth.1"), *scale), output) == 7.0
    assert value(Rescaled(Mean("outputs.embedding"), *scale), output) == 7.0

    class Own:
        """One that has no paths to ask for."""

        empty = staticmethod(lambda: jnp.float32(0))
        merge = staticmethod(lambda a, b: a + b)
        compute = staticmethod(lambda state: state)

        def update(self, state, output):
            return state + output["outputs"]["depth"][0].sum() - output["labels"].sum()

    assert value(Rescaled(Own(), *scale), output) == 30.0


def test_several_outputs_for_one_target_are_all_in_its_unit():
    """Quantiles, say: one array, so that there is nothing to choose from."""
    output = {"outputs": np.zeros((4, 5), np.float32), "labels": np.zeros(4, np.float32)}
    assert value(Rescaled(Mean("outputs"), (100.0,), (10.0,)), output) == 100.0


@pytest.mark.parametrize(
    "metric", [MeanAbsoluteError(), MeanSquaredError(), RootMeanSquaredError(), R2Score()]
)
def test_a_large_mean_costs_differences_no_digits(metric):
    """In float32, 1e9 + 0.5 is 1e9."""
    labels = np.linspace(-1, 1, 50, dtype=np.float32)
    output = {"outputs": labels + np.float32(0.25), "labels": labels}
    small = value(Rescaled(metric, (0.0,), (2.0,)), output)
    assert value(Rescaled(metric, (1e9,), (2.0,)), output) == small


def test_it_is_a_carry_of_scan():
    _, _, scale, output = standardised((40, 3))
    metric = Rescaled(R2Score(columns=3), scale.mean, scale.deviation)
    stacked = jax.tree.map(lambda x: jnp.asarray(x).reshape(4, 10, 3), output)
    fused, _ = jax.jit(
        lambda xs: jax.lax.scan(lambda s, x: (metric.update(s, x), None), metric.empty(), xs)
    )(stacked)
    assert float(metric.compute(fused)) == pytest.approx(value(metric, output), rel=1e-5)
    # R² has no unit.
    assert value(R2Score(columns=3), output) == pytest.approx(value(metric, output), rel=1e-5)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"labels": np.ones((4, 2))}, r"a scale of 3 columns, found an array of \(4, 2\)"),
        ({"labels": np.ones(3)}, r"a scale of 3 columns, found an array of \(3,\)"),
        ({"labels": np.ones((4, 3)), "outputs": np.ones((4, 1))}, r"3 columns, found .*\(4, 1\)"),
        ({"labels": {"a": np.ones(4), "b": np.ones(4)}}, "that of one array of labels, found"),
    ],
)
def test_what_has_no_such_columns_is_refused(output, message):
    metric = Rescaled(MeanAbsoluteError(), (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(DataError, match=message):
        metric.update(metric.empty(), output)


@pytest.mark.parametrize(("mean", "deviation"), [((), ()), ((1.0,), (1.0, 2.0))])
def test_a_scale_has_as_many_means_as_deviations(mean, deviation):
    with pytest.raises(DataError, match="as many means as deviations"):
        Rescaled(MeanAbsoluteError(), mean, deviation)


class Sums:
    """A metric of the class form."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.total = 0.0

    def update(self, output):
        assert isinstance(output["labels"], np.ndarray)
        self.total += float(output["labels"].sum()) + float(output["outputs"].sum())

    def compute(self):
        return self.total


def test_one_of_the_class_form_reads_the_unit_of_the_data_too():
    metric = in_data_unit(Sums(), (100.0,), (10.0,))
    assert isinstance(metric, HostRescaled)
    assert is_host_metric(metric)
    for _ in range(2):
        metric.reset()
        metric.update({"outputs": np.float32([1.0]), "labels": np.float32([2.0])})
    assert metric.compute() == 230.0
    assert isinstance(in_data_unit(R2Score(), (1.0,), (1.0,)), Rescaled)
    with pytest.raises(DataError, match="as many means as deviations"):
        HostRescaled(Sums(), (1.0,), ())


def test_one_of_the_class_form_is_asked_what_it_can_read_in_that_unit():
    asked = []
    sums = Sums()
    metric = HostRescaled(sums, (0.0, 1.0), (1.0, 1.0))
    shapes = {"labels": jax.ShapeDtypeStruct((4, 2), np.float32)}
    metric.refuse_misfit(shapes)  # it has nothing to say
    type(sums).refuse_misfit = lambda self, output: asked.append(output["labels"])
    try:
        metric.refuse_misfit(shapes)
    finally:
        del type(sums).refuse_misfit
    assert [(x.shape, x.dtype) for x in asked] == [((4, 2), np.float32)]
    with pytest.raises(DataError, match="a scale of 2 columns"):
        metric.refuse_misfit({"labels": jax.ShapeDtypeStruct((4,), np.float32)})
