import logging
import math

import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError
from jaxtrain.hooks import EarlyStopping
from jaxtrain.metrics import Mean


def run(make_engine, values, hook, max_epochs=None):
    engine = make_engine(epochs={hook.monitor.name: values})
    engine.attach(hook)
    engine.run([0], max_epochs=max_epochs or len(values))
    return engine.state


def test_stops_after_patience_epochs_without_a_better_value(make_engine, caplog):
    hook = EarlyStopping(patience=2)
    with caplog.at_level(logging.INFO):
        state = run(make_engine, [0.5, 0.3, 0.4, 0.3, 0.1], hook)
    assert state.epoch == 4
    assert (hook.best, hook.best_epoch) == (0.3, 2)
    assert "val/loss has not improved for 2 epochs (best: 0.3, epoch 2)" in caplog.text


def test_a_better_value_starts_the_count_again(make_engine):
    assert run(make_engine, [0.5, 0.6, 0.4, 0.6, 0.3], EarlyStopping(patience=2)).epoch == 5


def test_max_mode_and_min_delta(make_engine):
    hook = EarlyStopping(monitor="val/accuracy", mode="max", patience=2, min_delta=0.1)
    assert run(make_engine, [0.5, 0.55, 0.58, 0.9], hook).epoch == 3


@pytest.mark.parametrize(
    ("name", "values", "target", "epoch"),
    [
        ("val/accuracy", [0.5, 0.98, 0.99], 0.98, 2),
        ("val/accuracy", [0.5, 0.9, 0.97], 0.98, 3),
        ("val/loss", [0.5, math.nan, 0.2, 0.1], 0.2, 3),
    ],
)
def test_a_target_ends_the_run_when_it_is_reached(make_engine, caplog, name, values, target, epoch):
    hook = EarlyStopping(monitor=name, patience=9, target=target)
    with caplog.at_level(logging.INFO):
        state = run(make_engine, values, hook)
    assert state.epoch == epoch
    reached = f"stopped: {name} is {values[epoch - 1]:g}, and {target:g} was to be reached"
    assert (reached in caplog.text) == (values[epoch - 1] in (0.98, 0.2))


def test_what_reached_its_target_is_not_trained_further(make_engine, saved):
    """Also where it got there by less than counts as better."""
    values, options = [0.59, 0.6, 0.7], {"patience": 9, "target": 0.6, "min_delta": 0.5}
    engine = make_engine(epochs={"val/accuracy": values})
    engine.attach(EarlyStopping(monitor="val/accuracy", **options))
    engine.run([0], max_epochs=3)
    again = make_engine(epochs={"val/accuracy": values})
    hook = again.attach(EarlyStopping(monitor="val/accuracy", **options))
    again.restore(*saved(engine))
    again.run([0], max_epochs=3)
    assert (hook.best, again.state.epoch) == (0.6, 2)


def test_nan_is_no_improvement(make_engine):
    hook = EarlyStopping(patience=3)
    assert run(make_engine, [math.nan] * 5, hook).epoch == 3
    assert hook.best is None


def test_epochs_that_were_not_validated_do_not_count(make_engine):
    hook = EarlyStopping(patience=2)
    assert run(make_engine, [0.5, None, 0.6, None, 0.7, 0.1], hook).epoch == 5


def test_a_monitor_that_nobody_provides_is_an_error_before_the_first_step(make_engine):
    engine = make_engine(epochs={"val/accuracy": [0.1, 0.1]})
    engine.attach(EarlyStopping(monitor="val/acuracy"))
    with pytest.raises(
        ConfigError, match=r"'val/acuracy'; did you mean 'val/accuracy'.*\(this run has: val/acc"
    ):
        engine.run([0], max_epochs=2)
    assert engine.state.iteration == 0
    with pytest.raises(ConfigError, match="val/acuracy"):
        engine.fire(Events.RESUMED)


def test_a_metric_of_the_engines_own_and_one_on_the_host_can_be_monitored():
    class Last:
        def reset(self): ...
        def update(self, output):
            self.value = output["loss"]

        def compute(self):
            return self.value

    for name, metric in (("mean", Mean("loss")), ("last", Last())):
        engine = Engine(lambda engine, batch: {"loss": 0.5})
        engine.add_metrics({name: metric})
        hook = engine.attach(EarlyStopping(monitor=name, patience=2))
        engine.run([0], max_epochs=5)
        assert (hook.best, engine.state.epoch) == (0.5, 3)


def test_a_metric_that_was_promised_and_does_not_come_is_an_error_after_the_first_epoch():
    engine = Engine(lambda engine, batch: {"loss": 0.5})
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: None, provides=("metrics", "val/loss"))
    engine.attach(EarlyStopping())
    with pytest.raises(ConfigError, match=r"no metric is called 'val/loss' \(this run has: none"):
        engine.run([0], max_epochs=2)
    assert engine.state.epoch == 1


def test_the_count_survives_a_restart(make_engine, saved):
    values = [0.5, 0.6, 0.7, 0.8, 0.9]
    engine = make_engine(epochs={"val/loss": values})
    engine.attach(EarlyStopping(patience=3))
    engine.run([0], max_epochs=2)
    snapshot = saved(engine)

    again = make_engine(epochs={"val/loss": values})
    hook = again.attach(EarlyStopping(patience=3))
    again.restore(*snapshot)
    again.run([0], max_epochs=5)
    assert again.state.epoch == 4
    assert hook.state() == {"best": 0.5, "best_epoch": 1, "waited": 3}


@pytest.mark.parametrize("first", [0.5, math.nan], ids=str)
def test_a_run_resumed_before_an_epoch_without_validation_goes_on(make_engine, saved, first):
    values = [first, 0.4, None, 0.3]
    engine = make_engine(epochs={"val/loss": values})
    engine.attach(EarlyStopping(patience=3))
    engine.run([0], max_epochs=2 if first == 0.5 else 1)
    snapshot = saved(engine)

    again = make_engine(epochs={"val/loss": values if first == 0.5 else [first, None, 0.4, 0.3]})
    hook = again.attach(EarlyStopping(patience=3))
    again.restore(*snapshot)
    again.run([0], max_epochs=4)
    assert (hook.best, hook.best_epoch) == (0.3, 4)


def test_a_stopped_run_started_again_does_not_train_one_epoch_more(make_engine, saved):
    values = [0.5, 0.6, 0.7]
    engine = make_engine(epochs={"val/loss": values})
    engine.attach(EarlyStopping(patience=1))
    engine.run([0], max_epochs=3)
    arrays, record = saved(engine)
    record["counters"]["stopped"] = ""  # as saved at the end of the epoch, before the stop

    again = make_engine(epochs={"val/loss": values})
    again.attach(EarlyStopping(patience=1))
    again.restore(arrays, record)
    again.run([0], max_epochs=3)
    assert again.state.iteration == 2


def test_a_run_begun_anew_counts_anew(make_engine):
    engine = make_engine(epochs={"val/loss": [0.5, 0.6, 0.7]})
    engine.attach(EarlyStopping(patience=2))
    engine.run([0], max_epochs=3)
    engine.run([0], max_epochs=3)
    assert engine.state.epoch == 3


def test_an_accuracy_is_better_where_it_is_larger_without_saying_so(make_engine):
    engine = make_engine(epochs={"val/accuracy": [0.5, 0.6, 0.7, 0.7, 0.6]})
    hook = EarlyStopping(monitor="val/accuracy", patience=2)
    engine.attach(hook)
    engine.run([0], max_epochs=5)
    assert (hook.best, hook.best_epoch, engine.state.epoch) == (0.7, 3, 5)


def test_a_run_that_goes_on_keeps_its_count_and_stays_over(make_engine, caplog):
    engine = make_engine(epochs={"val/loss": [0.5] * 9})
    hook = engine.attach(EarlyStopping(patience=2))
    hook.restore({"best": 0.5, "best_epoch": 1, "waited": 1})
    engine.state.iteration = 2
    engine.fire(Events.RESUMED)
    assert hook.state() == {"best": 0.5, "best_epoch": 1, "waited": 1}
    assert not engine.stopping
    hook.restore({"best": 0.5, "best_epoch": 1, "waited": 2})
    engine.fire(Events.RESUMED)
    assert engine.stopping


def test_what_is_better_than_a_best_that_was_no_number(make_engine):
    engine = make_engine(epochs={"val/loss": [0.5, 0.6]})
    hook = engine.attach(EarlyStopping(patience=5))
    engine.attach_handler(
        Events.EPOCH_STARTED(once=1),
        lambda: hook.restore({"best": math.nan, "best_epoch": 1, "waited": 0}),
    )
    engine.run([0], max_epochs=2)
    assert (hook.best, hook.best_epoch, hook.waited) == (0.5, 1, 1)


def test_an_equal_value_does_not_start_the_count_again(make_engine):
    hook = EarlyStopping(patience=2)
    assert run(make_engine, [0.5, 0.5, 0.5, 0.1], hook).epoch == 3
    assert hook.best_epoch == 1


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"best": "0.5", "best_epoch": 3, "waited": 2},
        {"best": 10**400, "best_epoch": 3, "waited": 2},
        {"best": 0.5, "best_epoch": 0, "waited": 2},
        {"best": 0.5, "best_epoch": 3, "waited": -1},
        {"best": 0.5, "best_epoch": 3, "waited": None},
        {"best": [], "best_epoch": 3, "waited": 2},
    ],
)
def test_what_is_no_state_of_it_is_refused_and_changes_nothing(state):
    hook = EarlyStopping()
    hook.restore({"best": 0.5, "best_epoch": 3, "waited": 2})
    with pytest.raises((ValueError, TypeError, KeyError)):
        hook.restore(state)
    assert hook.state() == {"best": 0.5, "best_epoch": 3, "waited": 2}
