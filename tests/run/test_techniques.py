"""What a config can ask of a run beside model, loss and optimizer, through a run and back."""

import jax
import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError, Preempted
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config

SMALL = {
    "data": {"name": "digits", "batch_size": 128},
    "model": {"name": "mlp", "hidden": [16], "batch_norm": True},
    "optimizer": {"learning_rate": 1e-2},
    "train": {"epochs": 2},
    "hooks": {"console": None, "progress": None, "csv": None},
}


def experiment(tmp_path, *words):
    config = make_config(SMALL, [f"workdir={tmp_path / 'run'}", *words])
    return Experiment.of(config)


def arrays(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def test_an_average_is_what_is_evaluated_and_what_a_checkpoint_gives(tmp_path):
    run = experiment(tmp_path, "train.ema=0.9")
    figures = run.train()
    state = run.trainer.state.train_state
    assert not np.allclose(state.ema["hidden_0"]["kernel"], state.params["hidden_0"]["kernel"])
    trained = Trained.load(tmp_path / "run")
    assert trained.state.ema is None
    jax.tree.map(np.testing.assert_array_equal, trained.state.params, state.ema)
    rows = trained.sets()[0]
    assert trained.evaluate(rows["test"])["loss"] == pytest.approx(figures["test_loss"])
    assert trained.evaluate(rows["validation"])["loss"] == pytest.approx(figures["final_val_loss"])


def test_what_is_frozen_keeps_its_bits_and_the_rest_learns(tmp_path):
    words = [
        "optimizer.groups.first.match=hidden_0/*,norm_0/*",
        "optimizer.groups.first.freeze=true",
    ]
    run = experiment(tmp_path, *words, "optimizer.weight_decay=0.1", "optimizer.clip_norm=1.0")
    begun = run.trainer.state.train_state.params
    before = {name: arrays(begun[name]) for name in begun}
    run.train()
    after = run.trainer.state.train_state.params
    for name in ("hidden_0", "norm_0"):
        for old, new in zip(before[name], arrays(after[name]), strict=True):
            assert old.tobytes() == new.tobytes()
    assert not np.allclose(before["output"][1], after["output"]["kernel"])


def test_the_norm_of_a_gradient_is_that_of_what_is_trained():
    words = ["optimizer.groups.first.match=hidden_0/*", "optimizer.groups.first.freeze=true"]
    task, held = (Task.of(RunData.of(make_config(SMALL, w))) for w in ([], words))
    batch = next(iter(task.data.loader))
    state = task.initial_state()
    _, whole = jax.jit(task.train_step)(state, batch)
    _, part = jax.jit(held.train_step)(held.initial_state(), batch)
    assert 0 < float(part["grad_norm"]) < float(whole["grad_norm"])
    assert float(part["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-6)


def test_a_run_with_all_of_it_goes_on_to_the_same_bytes(tmp_path):
    words = [
        "train.ema=0.9",
        "train.sam.radius=0.1",
        "train.sam.adaptive=true",
        "train.mixup=0.3",
        "optimizer.lookahead.every=3",
        "optimizer.clip_leaf_norm=0.5",
        "optimizer.groups.small.match=*/bias",
        "optimizer.groups.small.weight_decay=0",
        "loss.name=focal",
    ]
    whole = experiment(tmp_path / "whole", *words)
    whole.train()
    first = experiment(tmp_path / "parts", *words, "checkpoint.every=5")
    first.trainer.on(Events.ITERATION_COMPLETED(once=7))(Engine.interrupt)
    with pytest.raises(Preempted):
        first.train()
    second = experiment(tmp_path / "parts", *words, "checkpoint.every=5")
    second.train()
    ends = (whole.trainer.state.train_state, second.trainer.state.train_state)
    for one, other in zip(*map(raw, ends), strict=True):
        assert one == other


def raw(state):
    keys = jax.random.key_data(state.rng)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.replace(rng=keys))]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.mixup=0.2", "train.cutmix=1.0"], "train.mixup and train.cutmix"),
        (["optimizer.clip_norm=1", "optimizer.clip_value=1"], "clip_norm and clip_value"),
        (
            ["optimizer.groups.a.match=hiden_0/*"],
            "(?s)'hiden_0.*matches no parameter.*hidden_0/ker",
        ),
        (["train.cutmix=1.0"], "cutmix wants images"),
    ],
)
def test_what_does_not_go_together_is_told_before_the_run(words, message):
    with pytest.raises(ConfigError, match=message):
        Task.of(RunData.of(make_config(SMALL, words)))


def test_rates_of_groups_are_lowered_with_the_others(tmp_path):
    words = ["optimizer.groups.out.match=output/*", "optimizer.groups.out.learning_rate=0.1"]
    words += ["hooks.reduce_on_plateau.patience=0", "hooks.reduce_on_plateau.threshold=9"]
    words += ["hooks.reduce_on_plateau.threshold_mode=absolute"]
    run = experiment(tmp_path, *words, "train.epochs=3")
    run.train()
    held = jax.tree.leaves(
        run.trainer.state.train_state.opt_state, is_leaf=lambda x: hasattr(x, "hyperparams")
    )
    rates = [float(x.hyperparams["learning_rate"]) for x in held if hasattr(x, "hyperparams")]
    assert rates == pytest.approx([1e-4, 1e-3])  # twice a tenth
