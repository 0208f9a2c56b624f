"""What holds for every metric: the laws of a monoid, masks, scan, vmap, jit."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxtrain.metrics
from jaxtrain.errors import DataError
from jaxtrain.metrics import (
    Accuracy,
    Loss,
    Mean,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    R2Score,
    Rescaled,
    RootMeanSquaredError,
    naming,
)

METRICS = {
    "accuracy": Accuracy(),
    "top2": Accuracy(top_k=2),
    "ignoring": Accuracy(ignore_label=1),
    "head": Accuracy(outputs="heads.0", labels="labels"),
    "loss": Loss(),
    "mean": Mean("rows"),
    "scalar_mean": Mean("grad_norm"),
    "mse": MeanSquaredError(),
    "mae": MeanAbsoluteError(),
    "rmse": RootMeanSquaredError(columns=3),
    "r2": R2Score(columns=3),
    "rescaled_mae": Rescaled(MeanAbsoluteError(), (5.0, 0.0, -1.0), (2.0, 1.0, 3.0)),
    "rescaled_r2": Rescaled(R2Score(columns=3), (5.0, 0.0, -1.0), (2.0, 1.0, 3.0)),
}
REGRESSION = [name for name in METRICS if name.rpartition("_")[2] in ("mse", "mae", "rmse", "r2")]
every_metric = pytest.mark.parametrize("name", METRICS)


def outputs_of(name, seed, rows=6, real=4):
    """One output of a step with `rows - real` rows of padding."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, 3)).astype(np.float32)
    mask = (np.arange(rows) < real).astype(np.float32)
    losses = generator.gamma(1.0, size=rows).astype(np.float32)
    return {
        "outputs": values,
        "labels": (
            generator.normal(size=(rows, 3)).astype(np.float32)
            if name in REGRESSION
            else generator.integers(0, 3, rows).astype(np.int32)
        ),
        "mask": mask,
        "heads": (-values, values),
        "rows": losses,
        "grad_norm": losses[0],
        "loss_sum": np.float32((losses * mask).sum()),
        "loss_weight": np.float32(mask.sum()),
    }


def over(metric, outputs, update=None):
    state = metric.empty()
    for output in outputs:
        state = (update or metric.update)(state, output)
    return state


@functools.cache
def compiled(metric):
    return jax.jit(metric.update), jax.jit(metric.merge)


@every_metric
def test_it_satisfies_the_protocol_and_is_a_value(name):
    assert isinstance(METRICS[name], Metric)
    assert hash(METRICS[name]) == hash(METRICS[name])


@every_metric
def test_nothing_seen_is_nan(name):
    metric = METRICS[name]
    assert np.isnan(metric.compute(metric.empty()))
    empty = outputs_of(name, 0, real=0)
    if name != "scalar_mean":
        assert np.isnan(metric.compute(metric.update(metric.empty(), empty)))


@every_metric
@given(
    reals=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 6), max_size=2),
    seed=st.integers(0, 1000),
)
def test_merging_parts_equals_the_whole(name, reals, cuts, seed):
    metric = METRICS[name]
    update, merge = compiled(metric)
    outputs = [outputs_of(name, [seed, i], real=real) for i, real in enumerate(reals)]
    edges = [0, *sorted(min(cut, len(outputs)) for cut in cuts), len(outputs)]
    merged = metric.empty()
    for first, last in itertools.pairwise(edges):
        merged = merge(merged, over(metric, outputs[first:last], update))
    whole = metric.compute(over(metric, outputs, update))
    np.testing.assert_allclose(metric.compute(merged), whole, rtol=1e-6)


@every_metric
def test_the_state_keeps_structure_shape_and_dtype(name):
    metric = METRICS[name]
    empty = metric.empty()
    for state in (
        metric.update(empty, outputs_of(name, 1)),
        metric.merge(empty, empty),
        jax.jit(metric.update)(empty, outputs_of(name, 1)),
    ):
        assert jax.tree.structure(state) == jax.tree.structure(empty)
        for found, expected in zip(jax.tree.leaves(state), jax.tree.leaves(empty), strict=True):
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert metric.compute(empty).dtype == jnp.float32


@every_metric
def test_it_is_a_carry_of_scan_and_a_slice_of_vmap(name):
    metric = METRICS[name]
    outputs = [outputs_of(name, seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
    expected = metric.compute(over(metric, outputs))

    fused, _ = jax.jit(
        lambda stacked: jax.lax.scan(
            lambda state, output: (metric.update(state, output), None), metric.empty(), stacked
        )
    )(stacked)
    np.testing.assert_allclose(metric.compute(fused), expected, rtol=1e-6)

    each = jax.vmap(lambda output: metric.update(metric.empty(), output))(stacked)
    for number, output in enumerate(outputs):
        one = metric.compute(jax.tree.map(lambda leaf, number=number: leaf[number], each))
        np.testing.assert_allclose(one, metric.compute(over(metric, [output])), rtol=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "top2", "ignoring", "head", "mean", *REGRESSION])
def test_padding_does_not_count_not_even_nan(name):
    metric = METRICS[name]
    padded = outputs_of(name, 5, rows=6, real=4)
    for array in (padded["outputs"], padded["rows"], *padded["heads"]):
        array[4:] = np.nan
    alone = {
        key: value[:4] for key, value in padded.items() if key != "heads" and np.ndim(value)
    } | {"heads": tuple(value[:4] for value in padded["heads"])}
    del alone["mask"]
    np.testing.assert_allclose(
        metric.compute(over(metric, [padded])), metric.compute(over(metric, [alone])), rtol=1e-6
    )


@every_metric
def test_it_runs_under_strict_promotion(name):
    metric = METRICS[name]
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        metric.compute(over(metric, [outputs_of(name, 1)]))


def test_a_missing_entry_is_named():
    with pytest.raises(DataError, match="reads 'loss_sum', the output of the step has only 'a'"):
        Loss().update(Loss().empty(), {"a": 1.0})


@every_metric
def test_a_sound_epoch_passes_under_debug_nans(name):
    """The states begin as zeros, and 0 / 0 is not divided."""
    metric = METRICS[name]
    with jax.debug_nans(True):
        state = jax.jit(metric.empty)()
        for seed in (1, 2):
            state = jax.jit(metric.update)(state, outputs_of(name, seed))
        assert np.isfinite(jax.jit(metric.compute)(state))
        assert np.isnan(metric.compute(metric.empty()))


@every_metric
def test_the_members_of_a_population_are_never_pooled(name):
    metric = METRICS[name]
    members = [outputs_of(name, seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    with pytest.raises(DataError, match=r"loss_sum', found the shape \(3,\).*vmap the metric"):
        metric.update(metric.empty(), stacked)
    states = jax.vmap(lambda _: metric.empty())(jnp.arange(3))
    states = jax.jit(jax.vmap(metric.update))(states, stacked)
    values = jax.vmap(metric.compute)(states)
    expected = [metric.compute(over(metric, [output])) for output in members]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_an_error_inside_comes_out_with_the_metrics_name():
    text = r"^metric 'val/loss': the metric Loss reads 'loss_sum'"
    with pytest.raises(DataError, match=text), naming("val/loss"):
        Loss().update(Loss().empty(), {})
    with pytest.raises(TypeError, match=r"has no len") as error, naming("val/mine"):
        len(3)
    assert error.value.__notes__ == ["raised by the metric 'val/mine'"]
    with naming("val/loss"):
        pass


def test_a_mask_of_another_length_is_refused():
    output = {"outputs": np.ones((4, 2)), "labels": np.ones(4, np.int32), "mask": np.ones(3)}
    with pytest.raises(DataError, match=r"mask has shape \(3,\).*\(4,\)"):
        Accuracy().update(Accuracy().empty(), output)


def test_exports_exist():
    for name in jaxtrain.metrics.__all__:
        assert hasattr(jaxtrain.metrics, name)
