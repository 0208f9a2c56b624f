"""Task: the second stage. Parts that fit, the very step of the run, and what does not fit."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sklearn.metrics
from flax import linen as nn

from jaxtrain.cli.printing import outcome
from jaxtrain.data import ArrayLoader, Dataset, LoaderRows, Splits, TargetScale
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.metrics import Loss, MeanAbsoluteError, R2Score, Rescaled
from jaxtrain.models import MODELS, from_linen
from jaxtrain.optim import learning_rate
from jaxtrain.run import Experiment, RunData, Task, make_config
from jaxtrain.run.directory import run_id


def bytes_of(state) -> list[bytes]:
    return [
        np.asarray(
            jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        ).tobytes()
        for x in jax.tree.leaves(state)
    ]


@pytest.mark.slow
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


@pytest.mark.slow
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


# -- what the user's own code raises --------------------------------------------------------------

PLUGIN = """
from jaxtrain.models import MODELS, Model

def init(rng, batch):
    {init}
    return {{"params": {{}}}}

def apply(variables, batch, *, train, rngs=None):
    {apply}
    return batch["inputs"][:, :10], {{}}

@MODELS.register("tests_raising")
def raising(num_outputs: int):
    {factory}
    return Model(init=init, apply=apply)
"""


@pytest.mark.parametrize(
    ("where", "line", "what", "said"),
    [
        ("init", 5, "1 / 0", "ZeroDivisionError: division by zero"),
        ("apply", 9, "{}['lost']", "KeyError: 'lost'"),
        ("apply", 9, "import sys; sys.exit(0)", "SystemExit: 0"),
        ("factory", 14, "assert num_outputs < 0, 'no'", "AssertionError: no"),
    ],
)
def test_what_a_plugins_model_raises_is_a_config_error_with_its_line(
    tmp_path, monkeypatch, where, line, what, said
):
    """Finding C23: a traceback, without the plugin's name."""
    monkeypatch.setattr(MODELS, "_factories", dict(MODELS._factories))
    path = tmp_path / "raising.py"
    lines = dict.fromkeys(("init", "apply", "factory"), "pass") | {where: what}
    path.write_text(PLUGIN.format(**lines))
    data = RunData.of(make_config({"model": {"name": "tests_raising"}}, plugins=[str(path)]))
    with pytest.raises(ConfigError) as raised:
        Task.of(data)
    assert str(raised.value) == f"model 'tests_raising': {said} ({path}:{line})"


def test_a_model_that_raises_in_evaluation_alone_is_found(digits):
    class Moody(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            if not train and x.shape[0] == 7:
                raise RuntimeError("seven")
            return nn.Dense(10)(x)

    data = RunData.of(digits("data.eval_batch_size=7"))
    with pytest.raises(ConfigError, match=r"set does not fit the model .*RuntimeError: seven"):
        Task.of(data, model=from_linen(Moody()))


# -- figures in the unit of the data --------------------------------------------------------------


def grammes(columns=1):
    """Targets of some thousand grammes, standardised, and the splits that a source makes."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(120, 6)).astype(np.float32)
    targets = 4200 + 800 * inputs[:, :columns] + random.normal(0, 60, size=(120, columns))
    targets = targets[:, 0] if columns == 1 else targets * np.arange(1, columns + 1)
    scale = TargetScale.fit(targets[:80])
    everything = Dataset(
        inputs, scale.standardise(targets), name="penguins", task="regression", num_outputs=columns
    )
    parts = [everything.select(np.arange(*ends)) for ends in ((0, 80), (80, 100), (100, 120))]
    return targets[100:], scale, Splits(*parts, target_scale=scale)


@pytest.mark.slow
def test_a_regression_tells_its_errors_in_the_unit_of_the_data(source, tmp_path):
    """Finding C10: the raw square of the loss was all that was told."""
    targets, scale, splits = grammes()
    source(lambda: splits)
    config = make_config(
        {
            "data": {"name": "tests_source"},
            "loss": {"name": "mean_squared_error"},
            "model": {"hidden": []},
            "optimizer": {"learning_rate": 0.03},
            "metrics": None,
            "train": {"epochs": 30},
            "hooks": {"progress": None, "console": None},
        }
    )
    experiment = Experiment.of(config, tmp_path / "run")
    figures = experiment.train()
    assert [name[5:] for name in figures if name.startswith("test_")] == [
        "loss",
        "mae",
        "rmse",
        "r2",
    ]
    best = experiment.store.best()
    state, _ = experiment.store.load(best, experiment.task.abstract_state(), part="train_state")
    batch = {"inputs": splits.test.inputs, "labels": splits.test.labels}
    said, _ = experiment.task.model.apply(state.variables(), batch, train=False)
    said = scale.in_unit(said).reshape(targets.shape)
    for name, by_sklearn in (
        ("mae", sklearn.metrics.mean_absolute_error),
        ("rmse", sklearn.metrics.root_mean_squared_error),
        ("r2", sklearn.metrics.r2_score),
    ):
        assert figures[f"test_{name}"] == pytest.approx(by_sklearn(targets, said), rel=1e-4), name
        assert figures[f"final_val_{name}"] is not None
    assert figures["test_mae"] > 10  # grammes
    assert figures["test_r2"] > 0.9
    assert figures["test_loss"] < 1  # standardised
    assert f"mae {figures['test_mae']:.4f}" in outcome(figures, tmp_path)
    assert (tmp_path / "run" / "learning_curves.png").exists()


def test_metrics_that_a_config_names_are_in_the_unit_of_the_data_too(source):
    _, scale, splits = grammes()
    source(lambda: splits)
    config = {
        "data": {"name": "tests_source"},
        "loss": {"name": "mean_squared_error"},
        "metrics": {
            "loss": {},
            "far": {"name": "mean_absolute_error"},
            "best": {"name": "r2_score"},
        },
    }
    metrics = Task.of(RunData.of(make_config(config))).metrics()
    assert metrics == {
        "loss": Loss(),
        "best": Rescaled(R2Score(), scale.mean, scale.deviation),
        "far": Rescaled(MeanAbsoluteError(), scale.mean, scale.deviation),
    }


def test_the_metrics_of_several_columns_know_how_many(source):
    _, _, splits = grammes(2)
    source(lambda: dataclasses.replace(splits, target_scale=None))
    config = {"data": {"name": "tests_source"}, "loss": {"name": "mean_squared_error"}}
    metrics = Task.of(RunData.of(make_config(config))).metrics()
    assert metrics["r2"] == R2Score(columns=2)
    assert list(metrics) == ["loss", "mse", "mae", "rmse", "r2"]
    config["metrics"] = {"r2_score": {}, "root_mean_squared_error": {}}
    named = Task.of(RunData.of(make_config(config))).metrics()
    assert named["r2_score"] == metrics["r2"]
    assert named["root_mean_squared_error"] == metrics["rmse"]


# -- class weights --------------------------------------------------------------------------------


def weights(task, classes):
    logits = np.zeros((1, classes), np.float32)
    return [float(task.loss(logits, {"labels": np.array([k])})[1]) for k in range(classes)]


@pytest.mark.parametrize("text", ["loss.class_weights=balanced", "loss={class_weights: balanced}"])
def test_balanced_weights_count_the_training_rows(source, made, text):
    train = made.dataset(60, labels=[0] * 40 + [1] * 15 + [2] * 5)
    source(lambda: made(train=train))
    task = Task.of(RunData.of(make_config({"data": {"name": "tests_source"}}, [text])))
    np.testing.assert_allclose(weights(task, 3), [60 / 120, 60 / 45, 60 / 15], rtol=1e-6)
    _, output = jax.jit(task.train_step)(task.initial_state(), next(iter(task.data.loader)))
    assert np.isfinite(output["loss"])


@pytest.mark.parametrize("text", ["[1, 2.5, 0]", "1,2.5,0"])
def test_weights_can_be_numbers(source, made, text):
    source(made)
    config = make_config({"data": {"name": "tests_source"}}, [f"loss.class_weights={text}"])
    assert weights(Task.of(RunData.of(config)), 3) == [1, 2.5, 0]
    assert config.loss.class_weights == (1, 2.5, 0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[1, 2]", r"class_weights: expected a number for each of the 3 classes, found 2"),
        ("balance", r"loss\.class_weights: expected 'balanced', or a list.*found 'balance'"),
        ("[1, -2, 1]", r"loss\.class_weights: expected .*at least 0"),
        ("[0, 0, 0]", r"loss 'cross_entropy', data 'tests_source': .*weighs no class"),
    ],
)
def test_weights_that_do_not_fit_are_refused(source, made, value, message):
    source(made)
    with pytest.raises(ConfigError, match=message):
        Task.of(
            RunData.of(
                make_config({"data": {"name": "tests_source"}}, [f"loss.class_weights={value}"])
            )
        )


def test_rows_out_of_memory_want_numbers(source, made):
    rows = made.dataset(60)
    streamed = LoaderRows(lambda **options: ArrayLoader(rows, **options), num_outputs=3)
    source(lambda: made(train=streamed))
    config = {"data": {"name": "tests_source"}, "loss": {"class_weights": "balanced"}}
    with pytest.raises(ConfigError, match="rows that are not in memory are not counted; give a nu"):
        Task.of(RunData.of(make_config(config)))
    config["loss"]["class_weights"] = (1, 2, 3)
    assert weights(Task.of(RunData.of(make_config(config))), 3) == [1, 2, 3]


def test_weights_are_no_part_of_the_name_of_a_run_that_has_none(digits):
    """Runs begun before there were any go on."""
    assert run_id(digits("loss.class_weights=null")) == run_id(digits())
    assert run_id(digits("loss.class_weights=balanced")) != run_id(digits())


def test_a_model_may_ask_for_the_width_of_the_data(monkeypatch):
    """An NNX model needs it, and a plugin that had it as an option failed on other data."""
    monkeypatch.setattr(MODELS, "_factories", dict(MODELS._factories))
    asked = []

    @MODELS.register("tests_wide")
    def wide(num_outputs: int, num_inputs: int):
        asked.append((num_outputs, num_inputs))
        return MODELS["mlp"](num_outputs, hidden=())

    config = make_config({"model": {"name": "tests_wide"}})
    Task.of(RunData.of(config))
    assert asked == [(10, 64)]


def test_what_a_model_has_decided_is_asked_once_and_with_what_is_computed_in(digits):
    data, asked = RunData.of(digits("precision=bfloat16")), []
    assert Task.of(data).facts() == {}

    def facts(batch, dtype):
        asked.append((batch["inputs"].shape, dtype))
        return {"kernel": "fast (it can)"}

    task = Task.of(data, model=dataclasses.replace(MODELS["mlp"](10), facts=facts))
    assert asked == []
    task.facts()["kernel"] = "mine"
    assert task.facts() == {"kernel": "fast (it can)"}
    assert asked == [((32, 64), "bfloat16")]


def test_the_schedule_knows_the_epochs_of_the_data_and_the_rate_the_batch(digits):
    overrides = [
        "optimizer={name: sgd, learning_rate: 0.1, batch_scaling: {rule: linear, base: 8}}"
    ]
    overrides += [
        "schedule={name: step, every: 1, factor: 0.5, warmup_epochs: 1}",
        "train.epochs=4",
    ]
    task = Task.of(RunData.of(digits("data.batch_size=32", "model.hidden=[]", *overrides)))
    steps = task.data.loader.steps_per_epoch
    params = jnp.zeros(1)
    opt_state = task.tx.init(params)

    def rate_after(done):
        _, after = task.tx.update(
            params,
            opt_state._replace(
                hyperparams_states=jax.tree.map(
                    lambda _: jnp.int32(done), opt_state.hyperparams_states
                )
            ),
            params,
        )
        return float(learning_rate(after))

    assert rate_after(0) == 0
    assert rate_after(steps) == pytest.approx(0.4)
    assert rate_after(2 * steps - 1) == pytest.approx(0.4)
    assert rate_after(2 * steps) == pytest.approx(0.2)
