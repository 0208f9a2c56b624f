from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics import ClassMetric, FractionState


@dataclass(frozen=True, kw_only=True)
class Misses(ClassMetric[FractionState]):
    state_type = FractionState

    def update(self, state, output):
        outputs, labels = self.pair(output)
        return state.plus(jnp.argmax(outputs, -1) != labels, among=self.real(output, labels))


OUTPUT = {
    "outputs": np.float32([[0, 1], [0, 1], [0, 1], [0, 1]]),
    "labels": np.array([1, 0, 0, -1]),
    "mask": np.array([1, 1, 0, 1]),
}


def test_masked_and_ignored_rows_do_not_count():
    for options, expected in [({}, 2 / 3), ({"ignore_label": -1}, 1 / 2), ({"mask": None}, 3 / 4)]:
        metric = Misses(**options)
        value = float(metric.compute(metric.update(metric.empty(), OUTPUT)))
        assert value == pytest.approx(expected)


@pytest.mark.parametrize("labels", [np.zeros((4, 2), int), np.zeros(3, int), np.int32(0)])
def test_labels_of_another_shape_are_refused(labels):
    with pytest.raises(DataError, match=r"Misses wants labels of the shape .* outputs \(4, 2\)"):
        Misses().update(Misses().empty(), {**OUTPUT, "labels": labels})
