"""Runs whose optimizer trains one point and has another evaluated: which of them is taken where."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError, Preempted
from jaxtrain.main import main
from jaxtrain.optim import schedule_free_adamw, sgd
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from tests.run.test_techniques import SMALL, raw

FREE = ["optimizer.name=schedule_free_adamw", "optimizer.learning_rate=0.02"]
GROUPS = [
    "optimizer.groups.out.match=output/*",
    "optimizer.groups.out.b1=0.5",
    "optimizer.groups.first.match=norm_0/*",
    "optimizer.groups.first.freeze=true",
]


def experiment(place, *words):
    return Experiment.of(make_config(SMALL, [f"workdir={place}", *FREE, *words]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with all that may stand beside it, and its figures."""
    place = tmp_path_factory.mktemp("free") / "run"
    words = [*GROUPS, "schedule.warmup_epochs=1", "optimizer.clip_norm=1", "train.accumulate=2"]
    run = experiment(place, *words)
    return place, run, run.train()


def by_hand(state):
    """`x` of each leaf, from the `z` in the state; that of `output` has another interpolation."""
    inner = state.opt_state.inner_states

    def x(name, module, leaf, b1):
        z = inner[name].inner_state.inner_state.z[module][leaf]
        y = np.asarray(state.params[module][leaf], np.float64)
        return (y - (1 - b1) * np.asarray(z, np.float64)) / b1

    return {
        "hidden_0": {"kernel": x("", "hidden_0", "kernel", 0.9)},
        "norm_0": jax.tree.map(np.asarray, state.params["norm_0"]),
        "output": {leaf: x("out", "output", leaf, 0.5) for leaf in ("bias", "kernel")},
    }


def close(found, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
    )


def loss_at(task, state, params):
    """Of the validation rows, by the model alone."""
    variables = state.variables(jax.tree.map(np.float32, params))
    total, count = 0.0, 0.0
    for batch in task.data.eval_loader("validation"):
        labels = batch["labels"]
        outputs, _ = task.model.apply(variables, {"inputs": batch["inputs"]}, train=False)
        logs = np.asarray(jax.nn.log_softmax(outputs))[np.arange(len(labels)), labels]
        mask = batch.get("row_mask", np.ones(len(labels)))
        total, count = total - float((logs * mask).sum()), count + float(mask.sum())
    return total / count


def test_the_average_is_what_is_evaluated_and_what_a_checkpoint_gives(finished):
    place, run, figures = finished
    state = run.trainer.state.train_state
    x = by_hand(state)
    close(state.evaluated(), x)
    apart = [
        np.abs(x[m]["kernel"] - state.params[m]["kernel"]).max() for m in ("hidden_0", "output")
    ]
    assert min(apart) > 1e-3
    trained = Trained.load(place)  # the last epoch is the best
    assert (trained.state.opt_state, trained.state.ema) == ((), None)
    close(trained.state.params, x)
    close(trained.merged(), x)
    sets = trained.sets()[0]
    assert trained.evaluate(sets["validation"])["loss"] == pytest.approx(figures["final_val_loss"])
    assert trained.evaluate(sets["test"])["loss"] == pytest.approx(figures["test_loss"])


def test_figures_are_those_at_the_average_and_not_those_at_what_is_trained(finished):
    _, run, figures = finished
    state = run.trainer.state.train_state
    at_x, at_y = (loss_at(run.task, state, params) for params in (by_hand(state), state.params))
    assert figures["final_val_loss"] == pytest.approx(at_x, rel=1e-4)
    assert abs(at_x - at_y) > 0.01


def test_the_words_of_the_command_line_take_the_average(finished, capsys, tmp_path):
    place, _, figures = finished
    assert main(["evaluate", str(place)]) == 0
    said = capsys.readouterr().out
    assert f"{figures['test_loss']:.4f}"[:-1] in said
    assert main(["list", "optimizers"]) == 0
    assert "schedule_free_sgd" in capsys.readouterr().out


def test_a_run_that_begins_with_it_begins_with_the_average(finished, tmp_path):
    place, run, _ = finished
    config = make_config(SMALL, [f"workdir={tmp_path / 'b'}", f"start.path={place}"])
    begun = Task.of(RunData.of(config)).initial_state()
    close(begun.params, by_hand(run.trainer.state.train_state))


def test_an_adapters_average_is_what_is_merged(finished, tmp_path):
    place, _, _ = finished
    words = [f"start.path={place}", "lora.rank=2"]
    run = experiment(tmp_path / "run", *words)
    run.train()
    state = run.trainer.state.train_state
    trained = Trained.load(tmp_path / "run")
    merged = [lora.merge(state.frozen, a) for a in (state.evaluated(), state.params)]
    close(trained.merged(), merged[0])
    assert np.abs(merged[0]["output"]["kernel"] - merged[1]["output"]["kernel"]).max() > 1e-4


def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(finished, tmp_path):
    words = [*GROUPS, "schedule.warmup_epochs=1", "optimizer.clip_norm=1", "train.accumulate=2"]
    first = experiment(tmp_path / "parts", *words)
    first.trainer.on(Events.ITERATION_COMPLETED(once=7))(Engine.interrupt)
    with pytest.raises(Preempted):
        first.train()
    second = experiment(tmp_path / "parts", *words)
    figures = second.train()
    _, whole, expected = finished
    for one, other in zip(
        *(raw(run.trainer.state.train_state) for run in (whole, second)), strict=True
    ):
        assert one == other
    assert figures["test_loss"] == expected["test_loss"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["schedule.name=cosine"], "schedule: optimizer 'schedule_free_adamw' .*found 'cosine'"),
        (["train.ema=0.9"], "train.ema: optimizer 'schedule_free_adamw' keeps an average"),
        (["optimizer.lookahead.every=3"], "lookahead: the optimizer keeps an average"),
    ],
)
def test_what_does_not_go_with_it_is_refused_by_name(words, message):
    with pytest.raises(ConfigError, match=message):
        Task.of(RunData.of(make_config(SMALL, [*FREE, *words])))


@pytest.mark.parametrize("named", [False, True])
def test_one_that_the_config_does_not_name_is_refused(named):
    """Who reads a checkpoint would take the wrong parameters, or look for what is not there."""
    config = make_config(SMALL, FREE if named else [])
    own = sgd(0.1) if named else schedule_free_adamw(1e-3)
    with pytest.raises(ConfigError, match=r"tx: what it trains, .*in the config"):
        Task.of(RunData.of(config), tx=own)
