"""Metrics in the class form, updated on the host."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.metrics import Mean


class Collected:
    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1
        self.seen = []

    def update(self, output):
        assert isinstance(output["rows"], np.ndarray)
        self.seen += output["rows"].tolist()

    def compute(self):
        return sum(self.seen)


@pytest.mark.parametrize("form", ["single", "fused"])
def test_it_sees_every_output_whole_and_first(form):
    engine = Engine(lambda s, b: (s, {"rows": b * 2, "loss": b.sum()}), jnp.float32(0), form=form)
    metric = Collected()
    found = []
    engine.attach_handler(
        Events.ITERATION_COMPLETED, lambda: found.append(len(metric.seen)), priority=10**9
    )
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: found.append(e.state.metrics["sum"]))
    engine.add_metrics({"sum": metric, "loss": Mean("loss")})
    engine.run([jnp.ones(2), jnp.ones(2) * 3], max_epochs=2)
    assert found == [2, 4, 16, 2, 4, 16]
    assert metric.resets == 2
    assert engine.state.metrics == {"sum": 16, "loss": 4}
    assert "host metric 'sum'" in [h.name for h in engine.plan.observed()]


def test_it_is_reset_before_any_handler_may_raise():
    engine = Engine(lambda engine, batch: {"rows": np.ones(batch)})
    metric = Collected()
    handle = engine.attach_handler(Events.EPOCH_STARTED(once=2), lambda: 1 / 0)
    engine.add_metrics({"sum": metric})
    with pytest.raises(ZeroDivisionError):
        engine.run([1, 2], max_epochs=2)
    handle.remove()
    assert engine.run([1, 2]).metrics == {"sum": 3}
