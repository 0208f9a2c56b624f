import pytest

from jaxtrain.engine import Events
from jaxtrain.errors import ConfigError
from jaxtrain.hooks import History, LearningRate


def test_the_last_steps_rate_becomes_a_metric(make_engine):
    engine = make_engine(learning_rate=lambda iteration: 1.0 / iteration)
    history = engine.attach(History())  # attached before, runs after
    engine.attach(LearningRate())
    engine.run([0, 0], max_epochs=2)
    assert [row["learning_rate"] for row in history.epochs] == [0.5, 0.25]


def test_a_step_without_one_is_an_error_that_tells_what_there_is(make_engine):
    engine = make_engine(loss=1.0)
    engine.attach(LearningRate())
    with pytest.raises(ConfigError, match=r"no scalar 'learning_rate' \(it has: loss\)"):
        engine.run([0])


def test_a_run_saved_between_the_last_step_and_the_end_of_an_epoch_knows_it(make_engine, saved):
    engine = make_engine(learning_rate=0.5)
    engine.attach(LearningRate())
    snapshots = saved(engine, Events.ITERATION_COMPLETED(once=2))
    engine.run([0, 0])

    again = make_engine(learning_rate=0.1)
    again.attach(LearningRate())
    again.restore(*snapshots[0])
    again.run([0, 0])
    assert again.state.iteration == 2
    assert again.state.metrics["learning_rate"] == 0.5


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"learning_rate": "0.5"},
        {"learning_rate": [0.5]},
        {"learning_rate": 10**400},
        None,
    ],
)
def test_what_is_no_state_of_it_is_refused_and_changes_nothing(state):
    hook = LearningRate()
    hook.restore({"learning_rate": 0.5})
    with pytest.raises((ValueError, TypeError, KeyError)):
        hook.restore(state)
    assert hook.state() == {"learning_rate": 0.5}
