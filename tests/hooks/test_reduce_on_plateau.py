import logging
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError
from jaxtrain.hooks import EPOCH_METRICS, ReduceOnPlateau
from jaxtrain.models import Model
from jaxtrain.optim import adamw, learning_rate, sgd
from jaxtrain.step import create_train_state, make_train_step, mean_squared_error

BATCH = {"inputs": np.ones((4, 2), np.float32), "labels": np.zeros((4, 1), np.float32)}
MODEL = Model(
    init=lambda rng, batch: {"params": {"w": jnp.ones((2, 1))}},
    apply=lambda variables, batch, **_: (batch["inputs"] @ variables["params"]["w"], {}),
)


def trainer(values, hook=None, tx=None):
    """A compiled engine whose validations give these values; None: an epoch without."""
    tx = sgd(0.1, momentum=0.5) if tx is None else tx
    step = make_train_step(MODEL, mean_squared_error(), tx)
    engine = Engine(step, create_train_state(MODEL, tx, BATCH, rng=jax.random.key(0)))

    @engine.on(Events.EPOCH_COMPLETED, provides=(EPOCH_METRICS, "val/loss"))
    def add(engine):
        engine.state.metrics.pop("val/loss", None)
        value = values[engine.state.epoch - 1]
        if value is not None:
            engine.state.metrics["val/loss"] = value

    if hook is not None:
        engine.attach(hook)
    return engine


def rate(engine):
    return float(learning_rate(engine.state.train_state.opt_state))


def test_after_more_than_patience_epochs_the_next_step_takes_the_lower_rate(caplog):
    engine = trainer([1.0, 2.0, 2.0, 0.5, 0.5], ReduceOnPlateau(patience=1, factor=0.5))
    used = []
    engine.on(Events.ITERATION_COMPLETED)(lambda e: used.append(e.scalars()["learning_rate"]))
    with caplog.at_level(logging.INFO):
        engine.run([BATCH], max_epochs=5)
    assert used == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05])
    assert "epoch 3: learning rate lowered from 0.1 to 0.05; val/loss" in caplog.text
    assert engine.compilations == 1
    assert float(engine.state.train_state.opt_state.hyperparams["learning_rate"]) == np.float32(
        0.05
    )


@pytest.mark.parametrize("seed", range(12))
def test_it_is_pytorchs_on_whatever_comes(seed):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(seed)
    mode, relative = ("min", "max")[seed % 2], seed % 4 < 2
    options = {
        "factor": float(random.uniform(0.2, 0.9)),
        "patience": int(random.integers(0, 4)),
        "cooldown": int(random.integers(0, 4)),
        "threshold": float(random.choice([0.0, 1e-4, 0.1])),
    }
    least = float(random.choice([0.0, 0.01]))
    values = random.choice([0.3, 0.5, 0.50001, 0.7, -0.2, math.nan], size=60).tolist()

    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, mode, threshold_mode="rel" if relative else "abs", min_lr=least, **options
    )
    hook = ReduceOnPlateau(
        mode=mode,
        threshold_mode="relative" if relative else "absolute",
        min_learning_rate=least,
        **options,
    )
    engine = trainer(values, hook)
    found, expected = [], []
    for epoch, value in enumerate(values):  # the handlers alone: nothing has to be computed
        engine.state.epoch = engine.state.iteration = epoch + 1
        engine.fire(Events.EPOCH_COMPLETED)
        found.append(rate(engine))
        scheduler.step(value)
        expected.append(theirs.param_groups[0]["lr"])
    assert found == pytest.approx(expected, rel=1e-5)
    assert len(set(found)) > 1


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "values", "waited"),
    [
        ("min", "relative", [10.0, 9.1], 1),
        ("min", "relative", [10.0, 8.9], 0),
        ("max", "relative", [10.0, 10.9], 1),
        ("max", "relative", [10.0, 11.1], 0),
        ("min", "absolute", [10.0, 9.91], 1),
        ("min", "absolute", [10.0, 9.89], 0),
        ("max", "absolute", [10.0, 10.09], 1),
        ("max", "absolute", [10.0, 10.11], 0),
    ],
)
def test_a_value_has_to_be_better_by_the_threshold(mode, threshold_mode, values, waited):
    hook = ReduceOnPlateau(mode=mode, threshold=0.1, threshold_mode=threshold_mode)
    trainer(values, hook).run([BATCH], max_epochs=2)
    assert hook.waited == waited


def test_epochs_that_were_not_validated_do_not_count():
    hook = ReduceOnPlateau(patience=1)
    engine = trainer([0.5, None, None, None, 0.6], hook)
    engine.run([BATCH], max_epochs=5)
    assert (hook.waited, rate(engine)) == (1, np.float32(0.1))


def test_it_goes_no_lower_than_it_may():
    engine = trainer([1.0] * 9, ReduceOnPlateau(patience=0, factor=0.5, min_learning_rate=0.03))
    engine.run([BATCH], max_epochs=9)
    assert rate(engine) == np.float32(0.03)


def test_a_change_of_next_to_nothing_is_none(caplog):
    """As in PyTorch; and at the lowest rate nothing is said again and again."""
    engine = trainer([1.0] * 3, ReduceOnPlateau(patience=0, factor=0.5), tx=sgd(1.5e-8))
    with caplog.at_level(logging.INFO):
        engine.run([BATCH], max_epochs=3)
    assert rate(engine) == np.float32(1.5e-8)
    assert "lowered" not in caplog.text


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5, 6, 7])
def test_a_run_that_was_stopped_goes_on_exactly(stop_at, saved):
    values = [1.0, 1.0, 1.0, 0.9, 0.95, 0.95, 0.95, 0.95]
    options = {"patience": 1, "cooldown": 1, "factor": 0.5}
    whole_hook, hook = ReduceOnPlateau(**options), ReduceOnPlateau(**options)
    whole = trainer(values, whole_hook)
    whole.run([BATCH], max_epochs=8)

    first = trainer(values, ReduceOnPlateau(**options))
    first.run([BATCH], max_epochs=stop_at)
    again = trainer(values, hook)
    again.restore(*saved_state(first, saved))
    again.run([BATCH], max_epochs=8)
    assert hook.state() == whole_hook.state()
    assert rate(again) == rate(whole) == np.float32(0.025)
    for one, other in zip(
        jax.tree.leaves(again.state.train_state.params),
        jax.tree.leaves(whole.state.train_state.params),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def saved_state(engine, saved):
    """A key is no array that can be copied so."""
    arrays, record = engine.snapshot()
    state = jax.tree.map(lambda x: jnp.array(x, copy=True), arrays["train_state"])
    return {**arrays, "train_state": state}, record


def test_a_run_begun_anew_counts_anew():
    hook = ReduceOnPlateau(patience=5)
    engine = trainer([0.5, 0.6, 0.7], hook)
    engine.run([BATCH], max_epochs=3)
    engine.run([BATCH], max_epochs=3)
    assert (hook.best, hook.waited) == (0.5, 2)


@pytest.mark.parametrize(
    ("tx", "message"),
    [
        (adamw(lambda step: 0.1), "hook reduce_on_plateau: the learning rate is a schedule's"),
        (optax.adam(0.1), "hook reduce_on_plateau: the optimizer keeps no learning rate"),
    ],
)
def test_a_rate_that_can_not_be_lowered_is_told_at_once(tx, message):
    engine = trainer([0.5], tx=tx)
    with pytest.raises(ConfigError, match=message):
        engine.attach(ReduceOnPlateau())


def test_an_engine_without_a_train_state_is_told():
    with pytest.raises(ConfigError, match=r"expected an engine with a TrainState.* found None"):
        Engine(lambda engine, batch: {}).attach(ReduceOnPlateau())


def test_a_monitor_that_nobody_provides_is_an_error_before_the_first_step():
    engine = trainer([0.5], ReduceOnPlateau(monitor="val/los"))
    with pytest.raises(ConfigError, match=r"'val/los'; did you mean 'val/loss'"):
        engine.run([BATCH], max_epochs=1)
    assert engine.state.iteration == 0


@pytest.mark.parametrize(
    "state",
    [
        {"best": "x", "waited": 0, "cooling": 0},
        {"best": None, "waited": -1, "cooling": 0},
        {"best": None, "waited": 0, "cooling": 1.5},
    ],
)
def test_a_state_that_is_none_is_refused(state):
    with pytest.raises(ValueError, match="expected what state"):
        ReduceOnPlateau().restore(state)
