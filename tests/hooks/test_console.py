import re

from jaxtrain.engine import Events
from jaxtrain.hooks import Console


def test_one_line_an_epoch(make_engine, capsys):
    engine = make_engine(
        learning_rate=1e-4,
        epochs={"train/loss": [0.5] * 10, "train/mean_error": [2e-5] * 10, "val/loss": [0.25] * 10},
    )
    engine.attach(Console())
    engine.run([0] * 3, max_epochs=10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith(
        "epoch  1/10 | train: loss 0.5000, mean error 2.000e-05 | val: loss 0.2500 | lr 0.0001 | "
    )
    assert lines[9].startswith("epoch 10/10 | ")
    assert re.search(r"\| [\d,.e+]+ steps/s$", lines[0])


def test_the_learning_rate_is_told_once_and_needs_no_hook(make_engine, capsys):
    engine = make_engine(learning_rate=0.1, epochs={"learning_rate": [0.1]})
    engine.attach(Console())
    engine.run([0])
    assert capsys.readouterr().out.count(" lr 0.1 ") == 1


def test_the_speed_counts_only_the_steps_of_this_process(make_engine, saved, capsys):
    engine = make_engine()
    snapshots = saved(engine, Events.ITERATION_COMPLETED(once=4))
    engine.run([0] * 6)

    again = make_engine()
    again.attach(Console())
    again.attach_handler(
        Events.EPOCH_COMPLETED, lambda e: e.state.times.update(EPOCH_COMPLETED=0.5), priority=1
    )
    again.restore(*snapshots[0])
    again.run([0] * 6)
    assert "| 4 steps/s" in capsys.readouterr().out  # 5 and 6, in half a second


def test_slow_steps_are_not_told_as_none(make_engine, capsys):
    engine = make_engine()
    engine.attach(Console())
    engine.attach_handler(
        Events.EPOCH_COMPLETED, lambda e: e.state.times.update(EPOCH_COMPLETED=5.0), priority=1
    )
    engine.run([0] * 2)
    assert "| 0.4 steps/s" in capsys.readouterr().out


def test_the_speed_of_a_run_that_goes_on_counts_from_there(make_engine, capsys):
    engine = make_engine()
    engine.attach(Console())
    engine.state.iteration = 4
    engine.fire(Events.RESUMED)
    engine.state.iteration = 6
    engine.state.times["EPOCH_COMPLETED"] = 0.5
    engine.fire(Events.EPOCH_COMPLETED)
    assert "| 4 steps/s" in capsys.readouterr().out
