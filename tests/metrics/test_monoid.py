"""A new metric is an `update` and a state."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics import MeanState, Metric, MonoidMetric


class Largest(NamedTuple):
    value_so_far: jax.Array

    @classmethod
    def empty(cls):
        return cls(jnp.float32(-jnp.inf))

    def merge(self, other):
        return Largest(jnp.maximum(self.value_so_far, other.value_so_far))

    def value(self):
        return jnp.where(jnp.isinf(self.value_so_far), jnp.nan, self.value_so_far)


@dataclass(frozen=True)
class LargestOutput(MonoidMetric[Largest]):
    state_type = Largest

    def update(self, state, output):
        values = self.read(output, "outputs")
        real = self.counted(output, values)
        return state.merge(Largest(jnp.max(values, where=real, initial=-jnp.inf)))


def test_a_state_and_an_update_are_a_metric():
    metric = LargestOutput()
    assert isinstance(metric, Metric)
    first = metric.update(metric.empty(), {"outputs": [1.0, 9.0, 3.0], "mask": [1.0, 0.0, 1.0]})
    second = metric.update(metric.empty(), {"outputs": [2.0]})
    assert float(metric.compute(metric.merge(first, second))) == 3.0
    assert jnp.isnan(metric.compute(metric.empty()))
    assert float(metric.compute(metric.merge(metric.empty(), second))) == 2.0


def test_its_errors_name_it():
    metric = LargestOutput()
    with pytest.raises(DataError, match=r"^the metric LargestOutput reads 'outputs'"):
        metric.update(metric.empty(), {"labels": 1})
    with pytest.raises(DataError, match=r"^the metric LargestOutput: the mask has shape"):
        metric.update(metric.empty(), {"outputs": [1.0], "mask": [1.0, 1.0]})


def test_one_without_an_update_can_not_be_made():
    class Forgotten(MonoidMetric[MeanState]):
        state_type = MeanState

    with pytest.raises(TypeError, match="update"):
        Forgotten()
