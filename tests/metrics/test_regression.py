from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics import MeanState, RegressionMetric


@dataclass(frozen=True, kw_only=True)
class Bias(RegressionMetric[MeanState]):
    """What somebody else would write."""

    state_type = MeanState

    def update(self, state, output):
        outputs, labels, real = self.pair(output)
        return state.plus(jnp.sum(outputs - labels, where=real), jnp.sum(real))


def test_a_metric_of_ones_own_reads_heads_and_masks():
    metric = Bias(outputs="outputs.1", labels="targets.depth", mask="seen")
    output = {
        "outputs": (np.zeros((2, 9)), np.array([[5.0], [7.0]])),
        "targets": {"depth": np.array([3, 0])},
        "seen": np.array([1.0, 0.0]),
    }
    assert float(metric.compute(metric.update(metric.empty(), output))) == 2.0


def test_shapes_that_would_broadcast_are_refused_by_name():
    with pytest.raises(DataError, match=r"the metric Bias wants .* outputs \(4,\), labels \(4, 1"):
        Bias().update(Bias().empty(), {"outputs": np.ones(4), "labels": np.ones((4, 1))})


@pytest.mark.parametrize(
    ("shape", "columns", "expected"),
    [((4,), 1, (4, 1)), ((4, 1), 1, (4, 1)), ((4, 3), 3, (4, 3)), ((4, 5, 3), 3, (20, 3))],
)
def test_columns_stand_beside_each_other(shape, columns, expected):
    values = jnp.arange(np.prod(shape)).reshape(shape)
    found = Bias().by_column(values, columns)
    assert found.shape == expected
    assert found.reshape(-1).tolist() == values.reshape(-1).tolist()
