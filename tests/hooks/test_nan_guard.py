import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError, NonFiniteError
from jaxtrain.hooks import NaNGuard


def test_names_the_first_bad_iteration_though_it_looks_later(make_pure_engine):
    engine = make_pure_engine(bad=7)
    engine.attach(NaNGuard(every=5))
    with pytest.raises(NonFiniteError) as error:
        engine.run([0] * 4, max_epochs=5)
    # It looks at 4 (an epoch's end), 5 and 8: the first of them that is not before 7.
    assert engine.state.iteration == 8
    assert str(error.value).startswith(
        "iteration 7 (epoch 2): the loss or the gradient is not finite "
        "(loss nan 1 iterations later, grad_norm nan 1 iterations later). "
    )
    assert "was not applied" in str(error.value)


def test_the_figures_are_the_steps_own_where_it_looks_at_once(make_pure_engine):
    engine = make_pure_engine(bad=3)
    engine.attach(NaNGuard(every=1))
    with pytest.raises(
        NonFiniteError, match=r"iteration 3 \(epoch 1\).*\(loss nan, grad_norm nan\)"
    ):
        engine.run([0] * 10)


def test_a_sound_run_goes_through(make_pure_engine):
    engine = make_pure_engine(bad=10**6)
    engine.attach(NaNGuard(every=2))
    engine.run([0] * 5, max_epochs=2)
    assert engine.state.iteration == 10


def test_runs_before_the_others(make_pure_engine):
    engine = make_pure_engine(bad=1)
    reached = []
    engine.attach_handler(
        Events.EPOCH_COMPLETED, reached.append, provides=("metrics",), priority=1000
    )
    engine.attach(NaNGuard())
    with pytest.raises(NonFiniteError):
        engine.run([0])
    assert reached == []


@pytest.mark.parametrize(
    ("bad", "epoch"), [(1, 1), (3, 1), (4, 1), (5, 2), (7, 2), (8, 2), (9, 3), (12, 3)]
)
@pytest.mark.parametrize("every", [1, 3, 100])
def test_the_epoch_is_the_one_of_the_bad_iteration(make_pure_engine, bad, epoch, every):
    engine = make_pure_engine(bad)
    engine.attach(NaNGuard(every=every))
    with pytest.raises(NonFiniteError, match=rf"^iteration {bad} \(epoch {epoch}\): "):
        engine.run([0] * 4, max_epochs=3)


@pytest.mark.parametrize(("bad", "epoch"), [(4, 1), (5, 2), (8, 2), (9, 3), (10, 3)])
def test_the_epoch_where_it_is_asked_for_only_at_the_end(make_pure_engine, bad, epoch):
    engine = make_pure_engine(bad)
    engine.run([0] * 4, max_epochs=3)
    with pytest.raises(NonFiniteError, match=rf"^iteration {bad} \(epoch {epoch}\): "):
        NaNGuard().look(engine)


def test_an_epoch_that_was_cut_short_does_not_shift_the_count(make_pure_engine):
    engine = make_pure_engine(6)
    engine.attach(NaNGuard(every=100))
    engine.attach_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.terminate_epoch())
    # Epoch 1 has two iterations, epoch 2 four: the sixth is the last of epoch 2.
    with pytest.raises(NonFiniteError, match=r"^iteration 6 \(epoch 2\)"):
        engine.run([0] * 4, max_epochs=3)


# -- steps that say nothing of `finite` ----------------------------------------------------------


def test_a_host_step_that_returns_nan_ends_the_run_at_once():
    engine = Engine(lambda engine, batch: {"loss": math.nan if batch == 3 else 1.0, "n": 1})
    engine.attach(NaNGuard(every=100))
    with pytest.raises(NonFiniteError) as error:
        engine.run([1, 2, 3, 4], max_epochs=9)
    assert engine.state.iteration == 3
    assert str(error.value).startswith("iteration 3 (epoch 1): loss is not finite (loss nan). Up")
    assert "may have been applied" in str(error.value)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, np.float32(np.nan), np.float64(np.inf)])
def test_whatever_is_not_finite_and_whatever_it_is_called(bad):
    engine = Engine(lambda engine, batch: {"a": 1.0, "energy": bad, "b": bad})
    engine.attach(NaNGuard(every=100))
    with pytest.raises(NonFiniteError, match=r"iteration 1 .*: energy, b are not finite \(energy"):
        engine.run([0] * 3)


@pytest.mark.parametrize("no", [False, np.False_])
def test_a_host_step_that_says_it_was_not_finite(no):
    engine = Engine(lambda engine, batch: {"loss": 1.0, "finite": True if batch != 2 else no})
    engine.attach(NaNGuard(every=100))
    with pytest.raises(NonFiniteError, match=r"iteration 2 \(epoch 1\): the loss .*not applied"):
        engine.run([1, 2, 3, 4])
    assert engine.state.iteration == 2


def test_where_the_step_says_it_was_finite_its_figures_may_be_what_they_are():
    engine = Engine(lambda engine, batch: {"finite": True, "perplexity": math.inf})
    engine.attach(NaNGuard(every=1))
    engine.run([0] * 3)
    assert engine.state.iteration == 3


def test_arrays_of_a_host_step_are_looked_at_now_and_then():
    engine = Engine(lambda engine, batch: {"loss": jnp.float32(np.nan if batch > 1 else 1)})
    engine.attach(NaNGuard(every=3))
    with pytest.raises(NonFiniteError, match=r"iteration 3 \(epoch 1\): loss is not finite"):
        engine.run([1, 2, 3, 4])
    engine = Engine(lambda engine, batch: {"finite": jnp.bool_(batch < 2)})
    engine.attach(NaNGuard(every=3))
    with pytest.raises(NonFiniteError, match=r"iteration 3 \(epoch 1\): the loss or the gradient"):
        engine.run([1, 2, 3, 4])


@pytest.mark.parametrize("form", ["single", "fused"])
def test_a_pure_step_of_ones_own_is_watched_by_its_floats(form):
    def step(state, batch):
        return state + 1, {"loss": jnp.where(state >= 6, jnp.nan, 1.0), "count": state}

    engine = Engine(step, jnp.int32(0), form=form)
    engine.attach(NaNGuard(every=5))
    with pytest.raises(NonFiniteError, match=r"iteration 8 \(epoch 2\): loss is not finite"):
        engine.run([np.zeros(2)] * 4, max_epochs=5)  # looked at: 4, 5, 8
    assert engine.state.iteration == 8


@pytest.mark.parametrize(
    "output", [None, {}, 3, {"n": 1, "rows": np.ones(3)}, (1.0,), {"text": "x"}], ids=str
)
def test_nothing_to_watch_is_said_at_the_first_look(output):
    engine = Engine(lambda engine, batch: output)
    engine.attach(NaNGuard(every=2))
    with pytest.raises(ConfigError, match="hook nan_guard: the step's output has nothing to watch"):
        engine.run([0] * 9)
    assert engine.state.iteration == 2


def test_a_run_that_goes_on_at_the_end_of_an_epoch_has_seen_no_step_yet():
    engine = Engine(lambda engine, batch: {"n": 1})
    engine.attach(NaNGuard(every=100))
    engine.state.iteration = 4
    engine.fire(Events.RESUMED)
    engine.fire(Events.EPOCH_COMPLETED)
    engine.state.iteration = 5
    with pytest.raises(ConfigError, match="nothing to watch"):
        engine.fire(Events.EPOCH_COMPLETED)


def test_a_compiled_run_gets_no_further_dispatches_from_it(make_pure_engine):
    engine = make_pure_engine(bad=10**6)
    engine.attach(NaNGuard(every=50))
    assert engine.plan.next_cut(0).iteration == 50
