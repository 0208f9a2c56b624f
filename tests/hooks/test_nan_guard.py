import pytest

from jaxtrain.engine import Events
from jaxtrain.errors import NonFiniteError
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
