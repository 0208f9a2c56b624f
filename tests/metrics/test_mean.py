import jax
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics import Loss, Mean


def value(metric, *outputs):
    state = metric.empty()
    for output in outputs:
        state = metric.update(state, output)
    return float(metric.compute(state))


def test_the_loss_is_the_mean_over_examples_not_over_batches():
    full = {"loss_sum": 8.0, "loss_weight": 8.0}
    short = {"loss_sum": 6.0, "loss_weight": 2.0}
    assert value(Loss(), full, short) == pytest.approx(1.4)  # the mean of means would be 2


def test_the_loss_keeps_its_digits_over_a_million_batches():
    metric = Loss()
    state = metric.update(metric.empty(), {"loss_sum": 1e8, "loss_weight": 1e8})
    for _ in range(8):
        state = metric.update(state, {"loss_sum": 3.0, "loss_weight": 1.0})
    assert float(state.total.total) + float(state.total.error) == 1e8 + 24


def test_weights_need_not_be_whole():
    assert value(Loss(), {"loss_sum": 1.0, "loss_weight": 0.25}) == 4.0


def test_a_scalar_counts_once_a_step():
    outputs = [{"grad_norm": norm, "mask": np.ones(3)} for norm in (1.0, 2.0, 6.0)]
    assert value(Mean("grad_norm"), *outputs) == pytest.approx(3.0)


def test_rows_count_by_the_mask():
    first = {"x": np.array([1.0, 2.0, 100.0]), "mask": np.array([1.0, 1.0, 0.0])}
    second = {"x": np.array([6.0])}
    assert value(Mean("x"), first, second) == pytest.approx(3.0)


def test_elements_of_a_row_count_one_by_one():
    output = {"x": np.array([[1.0, 3.0], [9.0, 9.0]]), "mask": np.array([1.0, 0.0])}
    assert value(Mean("x"), output) == 2.0


def test_bools_and_integers_have_means_too():
    assert value(Mean("finite"), {"finite": np.array(True)}, {"finite": np.array(False)}) == 0.5


@pytest.mark.parametrize("key", ["loss_sum", "loss_weight"])
def test_the_loss_of_a_population_is_not_pooled(key):
    output = {"loss_sum": np.float32(8), "loss_weight": np.float32(4), key: np.ones(3)}
    with pytest.raises(DataError, match=rf"Loss: expected a scalar '{key}'.*\(3,\).*jax\.vmap"):
        value(Loss(), output)


def test_the_loss_of_a_population_vmapped_is_one_a_member():
    metric = Loss()
    output = {"loss_sum": np.array([8.0, 9.0]), "loss_weight": np.array([4.0, 3.0])}
    states = jax.vmap(lambda _: metric.empty())(np.arange(2))
    for _ in range(3):
        states = jax.vmap(metric.update)(states, output)
    assert jax.vmap(metric.compute)(states).tolist() == [2.0, 3.0]


def test_a_mean_over_a_population_is_not_pooled():
    output = {"grad_norm": np.ones(3), "loss_sum": np.ones(3)}
    with pytest.raises(DataError, match="Mean: expected a scalar 'loss_sum', found the shape"):
        value(Mean("grad_norm"), output)


def test_a_mean_by_its_path_and_with_its_own_mask():
    output = {
        "aux": {"x": np.array([1.0, 3.0])},
        "mask": np.array([1.0, 0.0]),
        "mine": np.array([0.0, 1.0]),
    }
    assert value(Mean("aux.x"), output) == 1.0
    assert value(Mean("aux.x", mask="mine"), output) == 3.0
    assert value(Mean("aux.x", mask=None), output) == 2.0


def test_a_missing_entry_names_metric_and_entry():
    with pytest.raises(DataError, match="the metric Mean reads 'x', the output of the step has"):
        value(Mean("x"), {"y": 1.0})
