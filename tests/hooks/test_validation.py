import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import Validation, run_unless_stopping
from jaxtrain.hooks import validation as module
from jaxtrain.metrics import Mean


def evaluator(seen=None):
    def process(engine, batch):
        if seen is not None:
            seen.append(batch)
        return {"loss": float(batch)}

    engine = Engine(process)
    engine.add_metrics({"loss": Mean("loss")})
    return engine


def test_results_stand_under_the_prefix_before_handlers_that_need_metrics(make_engine):
    trainer = make_engine()
    found = []
    trainer.attach_handler(
        Events.EPOCH_COMPLETED, lambda e: found.append(dict(e.state.metrics)), needs=("metrics",)
    )
    trainer.attach(Validation(evaluator(), [1.0, 3.0]))
    trainer.run([0, 0], max_epochs=2)
    assert found == [{"val/loss": 2.0}] * 2


def test_another_prefix_keeps_two_validations_apart(make_engine):
    trainer = make_engine()
    trainer.attach(Validation(evaluator(), [1.0]), name="validation")
    trainer.attach(Validation(evaluator(), [5.0], prefix="shifted/"), name="shifted")
    trainer.run([0])
    assert trainer.state.metrics == {"val/loss": 1.0, "shifted/loss": 5.0}


def test_first_every_and_last_epoch_are_validated_and_old_results_are_not_kept(make_engine):
    trainer = make_engine()
    validated = []
    trainer.attach(Validation(evaluator(), [1.0], every=3))
    trainer.attach_handler(
        Events.EPOCH_COMPLETED,
        lambda e: validated.append(e.state.epoch) if "val/loss" in e.state.metrics else None,
        needs=("val/loss",),
    )
    trainer.run([0], max_epochs=8)
    assert validated == [1, 3, 6, 8]


def test_the_evaluator_gets_the_train_state(make_pure_engine):
    states = []
    evaluating = Engine(lambda engine, batch: states.append(int(engine.state.train_state)) or {})
    trainer = make_pure_engine(bad=10**6)
    trainer.attach(Validation(evaluating, [0]))
    trainer.run([0, 0, 0], max_epochs=2)
    assert states == [3, 6]


def test_it_names_its_metrics_beforehand():
    assert Validation(evaluator(), []).metric_names == ["val/loss"]


def test_an_engine_cannot_evaluate_itself(make_engine):
    trainer = make_engine()
    with pytest.raises(ValueError, match="its own evaluator"):
        trainer.attach(Validation(trainer, []))


def test_every_must_be_positive():
    with pytest.raises(ValueError, match="every: expected an integer of at least 1, found 0"):
        Validation(evaluator(), [], every=0)


# -- the same batches each time -------------------------------------------------------------------


@pytest.fixture
def rows():
    """A loader of five batches, a row each, and an evaluator that writes down what it sees."""
    loader = ArrayLoader({"x": np.arange(5.0)}, batch_size=1, shuffle=False)
    seen = []

    def process(engine, batch):
        seen.append(float(batch["x"][0]))
        return {"loss": seen[-1]}

    evaluating = Engine(process)
    evaluating.add_metrics({"loss": Mean("loss")})
    return loader, evaluating, seen


def test_every_validation_sees_the_same_batches(rows, make_engine):
    loader, evaluating, seen = rows
    trainer = make_engine()
    trainer.attach(Validation(evaluating, loader))
    trainer.run([0], max_epochs=3)
    assert seen == [0.0, 1.0, 2.0, 3.0, 4.0] * 3
    assert trainer.state.metrics == {"val/loss": 2.0}


def test_a_validation_that_was_left_is_done_anew_from_its_first_batch(
    rows, make_engine, monkeypatch
):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 1e-9)
    loader, evaluating, seen = rows
    trainer = make_engine()
    trainer.attach(Validation(evaluating, loader))
    reached = []
    trainer.attach_handler(
        Events.EPOCH_COMPLETED, lambda e: reached.append(e.state.epoch), needs=("metrics",)
    )
    stop = evaluating.attach_handler(
        Events.ITERATION_COMPLETED(once=3), trainer.interrupt, priority=1
    )
    trainer.run([0, 0], max_epochs=2)
    assert (trainer.state.stopped, seen, reached) == ("interrupt", [0.0, 1.0, 2.0], [])
    assert "val/loss" not in trainer.state.metrics

    stop.remove()
    seen.clear()
    trainer.run([0, 0], max_epochs=2)
    assert seen == [0.0, 1.0, 2.0, 3.0, 4.0] * 2
    assert (trainer.state.iteration, reached) == (4, [1, 2])
    assert trainer.state.metrics == {"val/loss": 2.0}


def test_an_evaluation_that_was_left_leaves_no_handler_behind(rows, make_engine, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 1e-9)
    loader, evaluating, seen = rows
    trainer = make_engine()
    trainer.interrupt()
    with pytest.raises(module.Interrupted):
        run_unless_stopping(trainer, evaluating, loader, None)
    assert seen == [0.0]
    assert evaluating.run(loader).metrics == {"loss": 2.0}
    assert seen == [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]
