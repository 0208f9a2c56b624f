import logging
import math

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.hooks import EarlyStopping


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


def test_nan_is_no_improvement(make_engine):
    hook = EarlyStopping(patience=3)
    assert run(make_engine, [math.nan] * 5, hook).epoch == 3
    assert hook.best is None


def test_epochs_that_were_not_validated_do_not_count(make_engine):
    hook = EarlyStopping(patience=2)
    assert run(make_engine, [0.5, None, 0.6, None, 0.7, 0.1], hook).epoch == 5


def test_an_unknown_monitor_is_an_error_after_the_first_epoch(make_engine):
    engine = make_engine(epochs={"val/loss": [0.1, 0.1]})
    engine.attach(EarlyStopping(monitor="val/acuracy"))
    with pytest.raises(ConfigError, match=r"'val/acuracy'.*\(this run has: val/loss\)"):
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
