import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import Validation
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
