"""Task: the second stage. Parts that fit, the very step of the run, and what does not fit."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxtrain.data import Dataset
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import from_linen
from jaxtrain.run import RunData, Task, make_config


def bytes_of(state) -> list[bytes]:
    return [
        np.asarray(
            jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        ).tobytes()
        for x in jax.tree.leaves(state)
    ]


def test_in_a_notebook_one_stage_after_the_other(digits):
    data = RunData.of(digits())
    task = Task.of(data)
    assert task.data is data
    step, evaluate = jax.jit(task.train_step), jax.jit(task.eval_step)
    state, losses = task.initial_state(), []
    for batch in data.loader:
        state, output = step(state, batch)
        losses.append(float(output["loss"]))
    assert losses[-1] < losses[0]
    assert float(evaluate(state, batch)[1]["loss"]) > 0


def test_the_initial_state_is_a_function_of_the_seed_alone(digits):
    task, same = Task.of(RunData.of(digits("seed=3"))), Task.of(RunData.of(digits("seed=3")))
    other = Task.of(RunData.of(digits("seed=4")))
    assert bytes_of(task.initial_state()) == bytes_of(same.initial_state())
    assert bytes_of(task.initial_state()) != bytes_of(other.initial_state())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_abstract_state_has_the_shapes_of_the_initial_one(digits, precision):
    task = Task.of(RunData.of(digits(f"precision={precision}")))
    abstract, real = task.abstract_state(), task.initial_state()
    assert jax.tree.structure(abstract) == jax.tree.structure(real)
    for shape, leaf in zip(jax.tree.leaves(abstract), jax.tree.leaves(real), strict=True):
        assert isinstance(shape, jax.ShapeDtypeStruct)
        assert (shape.shape, shape.dtype) == (leaf.shape, leaf.dtype)
    assert task.parameter_count() == 64 * 8 + 8 + 8 * 10 + 10


def test_two_engines_of_one_task_do_not_meet(digits):
    task = Task.of(RunData.of(digits("model.dropout=0.3")))
    batches = list(task.data.loader)
    ends = []
    for _ in range(2):
        engine = Engine(task.train_step, task.initial_state())
        ends.append(bytes_of(engine.run(batches, max_epochs=1).train_state))
    assert ends[0] == ends[1]


def test_parts_of_ones_own_take_the_place_of_the_configs(digits):
    seen = []

    def loss(outputs, batch):
        seen.append(outputs.shape)
        return jnp.square(outputs).sum(), jnp.float32(outputs.size)

    data = RunData.of(digits())
    model = from_linen(nn.Dense(3))
    task = Task.of(data, model=model, loss=loss, tx=optax.sgd(0.1))
    assert seen
    assert task.parameter_count() == 64 * 3 + 3
    state, output = jax.jit(task.train_step)(task.initial_state(), next(iter(data.loader)))
    assert "learning_rate" not in output
    assert output["outputs"].shape == (32, 3)
    own = dataclasses.replace(task, train_step=lambda state, batch: (state, {}))
    assert own.train_step(state, None) == (state, {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.tx = None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.accumulate=3"], r"do not fit together: .*accumulate=3"),
        (["loss.name=mean_squared_error"], r"for a regression.*loss\.name=cross_entropy"),
        (
            ["metrics.top.name=accuracy", "metrics.top.top_k=11"],
            r"metrics\.top does not fit what the step gives: .*at most the number of classes, 10",
        ),
        (
            ["metrics.n.name=mean", "metrics.n.key=gradnorm"],
            r"metrics\.n does not fit .*'gradnorm'",
        ),
        # An evaluation has no gradient: the metric is for both.
        (
            ["metrics.n.name=mean", "metrics.n.key=grad_norm"],
            r"metrics\.n does not fit .*grad_norm",
        ),
    ],
)
def test_what_does_not_fit_is_a_config_error_before_anything_is_computed(
    digits, overrides, message
):
    data = RunData.of(digits(*overrides))
    with pytest.raises(ConfigError, match=message):
        Task.of(data)


def test_a_test_set_of_other_rows_is_found_before_the_training(source, made):
    source(lambda: made(test=made.dataset(12, width=7)))
    data = RunData.of(make_config({"data": {"name": "tests_source"}}))
    with pytest.raises(ConfigError, match="the test set does not fit model 'mlp'"):
        Task.of(data)


def test_broken_data_make_no_task(source, made):
    source(lambda: made(train=made.dataset(60, nan=True)))
    data = RunData.of(make_config({"data": {"name": "tests_source"}}))
    with pytest.raises(DataError, match="made: train finite inputs: 1 values are NaN"):
        Task.of(data)


def test_the_metrics_are_those_that_fit_the_task(digits, source, made):
    assert list(Task.of(RunData.of(digits())).metrics()) == ["loss", "accuracy"]
    inputs = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    numbers = Dataset(inputs, inputs[:, 0].copy(), name="numbers", task="regression")
    source(lambda: made(train=numbers, validation=None, test=numbers))
    config = make_config({"data": {"name": "tests_source"}, "loss": {"name": "mean_squared_error"}})
    assert list(Task.of(RunData.of(config)).metrics()) == ["loss", "mse", "mae", "rmse", "r2"]


def test_a_config_names_the_metrics(digits):
    config = digits("metrics={loss: {}, top3: {name: accuracy, top_k: 3}, top1: {name: accuracy}}")
    task = Task.of(RunData.of(config))
    assert list(task.metrics()) == ["loss", "top3", "top1"]
    engine = Engine(task.eval_step, task.initial_state())
    engine.add_metrics(task.metrics())
    figures = engine.run(task.data.eval_loader("test")).metrics
    assert 0 < figures["top1"] < figures["top3"] <= 1
    assert Task.of(RunData.of(digits("metrics=[]"))).metrics() == {}


def test_another_device_than_the_one_in_use_is_refused(digits):
    other = "gpu" if jax.default_backend() == "cpu" else "cpu"
    with pytest.raises(
        ConfigError, match=rf"the config says '{other}'.*choose_device\('{other}'\)"
    ):
        Task.of(RunData.of(digits(f"device={other}")))
