"""Metrics in the class form, updated on the host."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError, DataError
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


def test_a_run_that_was_saved_within_an_epoch_is_not_restored_with_one():
    """Its figure of that epoch would be of the rest alone."""

    def step(state, batch):
        return state, {"rows": batch["x"], "loss": batch["x"].sum()}

    loader = ArrayLoader({"x": np.ones(8, np.float32)}, batch_size=2)
    first = Engine(step, jnp.float32(0))
    first.add_metrics({"sum": Collected()})
    with first.attach_handler(Events.ITERATION_COMPLETED(once=3), first.interrupt):
        first.run(loader, max_epochs=2)
    half = first.snapshot()
    second = Engine(step, jnp.float32(0))
    second.add_metrics({"sum": Collected(), "loss": Mean("loss")})
    before = second.snapshot()[1]
    with pytest.raises(ConfigError, match=r"after iteration 3 of an epoch.*host \(sum\).*evaluato"):
        second.restore(*half)
    assert second.snapshot()[1] == before
    pure = Engine(step, jnp.float32(0))
    pure.restore(*half)  # without one it goes on
    assert first.run(loader).metrics == {"sum": 8}  # so it does here, where it has seen all
    third = Engine(step, jnp.float32(0))
    third.add_metrics({"sum": Collected()})
    third.restore(*first.snapshot())
    assert third.run(loader, max_epochs=3).metrics == {"sum": 8}


def test_its_errors_name_it():
    class Broken(Collected):
        def compute(self):
            raise DataError("no rows")

    engine = Engine(lambda engine, batch: {"rows": np.ones(batch)})
    engine.add_metrics({"mine": Broken()})
    with pytest.raises(DataError, match=r"^metric 'mine': no rows"):
        engine.run([1])
