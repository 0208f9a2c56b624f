"""All hooks on one compiled trainer with a compiled evaluator, attached in an awkward order."""

import jax.numpy as jnp
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import (
    CSV,
    JSONL,
    Console,
    EarlyStopping,
    History,
    LearningRate,
    NaNGuard,
    Progress,
    TensorBoard,
    TimeLimit,
    Validation,
    read_rows,
)
from jaxtrain.metrics import Mean
from jaxtrain.report import LearningCurves, summarize


def train_step(state, batch):
    loss = jnp.mean((state - batch) ** 2)
    output = {"loss": loss, "finite": jnp.isfinite(loss), "learning_rate": jnp.float32(0.5)}
    return state + 0.5 * jnp.mean(batch - state), output


def eval_step(state, batch):
    return state, {"loss": jnp.mean((state - batch) ** 2)}


def make_trainer(directory):
    trainer = Engine(train_step, jnp.float32(0.0))
    trainer.add_metrics({"train/loss": Mean("loss")})
    evaluator = Engine(eval_step, jnp.float32(0.0))
    evaluator.add_metrics({"loss": Mean("loss")})
    history = History()
    for hook in (
        LearningCurves(directory, history.epochs),
        EarlyStopping(patience=2, min_delta=1e-3),
        history,
        JSONL(directory, every=2),
        CSV(directory),
        TensorBoard(directory, every=2),
        Console(),
        Progress(seconds=1e-9),
        TimeLimit(limit="1h"),
        NaNGuard(every=3),
        LearningRate(),
        Validation(evaluator, [jnp.ones(4)]),
    ):
        trainer.attach(hook)
    return trainer, history


def test_they_work_together_whatever_the_order_of_attachment(tmp_path, capsys):
    trainer, history = make_trainer(tmp_path)
    trainer.run([jnp.ones(4)] * 3, max_epochs=20)
    assert trainer.state.stopped == "terminate"  # early stopping saw the validation's loss
    assert set(history.epochs[0]) == {"epoch", "iteration"} | {
        "train/loss",
        "val/loss",
        "learning_rate",
    }
    # After three halvings of the distance 1: (1/8)^2.
    assert history.epochs[0]["val/loss"] == pytest.approx(1 / 64)
    assert summarize(history.epochs, training_time_seconds=1)["best_epoch"] == len(history.epochs)
    assert {path.name.split(".out.")[0] for path in tmp_path.iterdir()} == {
        "metrics.jsonl",
        "metrics.csv",
        "learning_curves.png",
        "events",
    }
    assert "epoch  1/20 | train: loss" in capsys.readouterr().out


def test_a_resumed_trainer_writes_the_same_rows(tmp_path, saved):
    trainer, history = make_trainer(tmp_path / "whole")
    snapshots = saved(trainer, Events.ITERATION_COMPLETED(once=6))
    batches = [jnp.ones(4)] * 3
    trainer.run(batches, max_epochs=4)

    again, resumed = make_trainer(tmp_path / "resumed")
    (tmp_path / "resumed").mkdir()
    whole = (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    (tmp_path / "resumed" / "metrics.jsonl").write_bytes(whole + b'{"torn')
    again.restore(*snapshots[0])
    again.run(batches, max_epochs=4)
    assert (tmp_path / "resumed" / "metrics.jsonl").read_bytes() == whole
    assert resumed.epochs == history.epochs
    assert read_rows(tmp_path / "resumed" / "metrics.jsonl")[1] == 0
