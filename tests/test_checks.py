"""The checks pass on what is right and fail on what is wrong."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxtrain.checks import (
    check_gradient_numerically,
    check_gradients_reach,
    check_overfits,
    check_repeats,
    run_checks,
)
from jaxtrain.experiment import make_config
from jaxtrain.main import main
from jaxtrain.models import Model, from_linen
from jaxtrain.step import create_train_state, cross_entropy, make_train_step

CONFIGS = Path(__file__).parents[1] / "configs"
RNG = np.random.default_rng(0)
BATCH = {
    "inputs": RNG.normal(size=(16, 5)).astype(np.float32),
    "labels": RNG.integers(0, 3, 16).astype(np.int32),
}


class Net(nn.Module):
    cut: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(32, name="hidden")(x))
        return nn.Dense(3, name="out")(jax.lax.stop_gradient(x) if self.cut else x)


@jax.custom_vjp
def wrongly_differentiated(x):
    return x**2


wrongly_differentiated.defvjp(lambda x: (x**2, x), lambda x, g: (g * x * 1.9,))


def state_of(model: Model):
    return create_train_state(model, optax.adam(1e-2), BATCH, rng=jax.random.key(0))


def test_all_pass_on_a_good_config():
    config = make_config(CONFIGS / "digits.py", ["train.epochs=1"])
    findings = list(run_checks(config))
    assert [f.name for f in findings if not f.ok] == []
    names = {f.name for f in findings}
    assert {
        "train shapes",
        "train dtypes",
        "train finite inputs",
        "train label range",
        "test class balance",
        "every parameter gets a gradient",
        "gradient equals finite differences",
        "overfits a tiny batch",
        "repeats bit for bit",
    } <= names


def test_a_parameter_without_gradient_is_named():
    model = from_linen(Net(cut=True))
    finding = check_gradients_reach(model, cross_entropy(), state_of(model), BATCH)
    assert not finding.ok
    assert "hidden/kernel" in finding.detail
    assert "out/kernel" not in finding.detail


def test_a_wrong_gradient_is_found():
    class Wrong(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3, name="out")(wrongly_differentiated(nn.Dense(8, name="hidden")(x)))

    model = from_linen(Wrong())
    finding = check_gradient_numerically(model, cross_entropy(), state_of(model), BATCH)
    assert not finding.ok
    assert "hidden" in finding.detail
    right = from_linen(Net())
    assert check_gradient_numerically(right, cross_entropy(), state_of(right), BATCH).ok


def test_a_model_that_can_not_learn_does_not_overfit():
    model = from_linen(Net())
    assert check_overfits(model, cross_entropy(), optax.adam(1e-2), BATCH).ok
    stuck = check_overfits(model, cross_entropy(), optax.sgd(1e-6), BATCH, steps=100)
    assert not stuck.ok
    assert "after 100 steps" in stuck.detail


def test_a_step_that_does_not_repeat_is_found():
    model = from_linen(Net())
    step = make_train_step(model, cross_entropy(), optax.adam(1e-2))
    assert check_repeats(step, state_of(model), BATCH).ok
    calls = []

    def moody(state, batch):
        calls.append(1)  # traced anew by each compilation
        return step(state, {**batch, "inputs": batch["inputs"] + jnp.float32(len(calls))})

    finding = check_repeats(moody, state_of(model), BATCH)
    assert not finding.ok
    assert "differ" in finding.detail


def test_the_command_fails_where_a_check_does(tmp_path, capsys):
    plugin = tmp_path / "cut.py"
    plugin.write_text(
        "import jax\n"
        "from flax import linen as nn\n"
        "from jaxtrain.models import MODELS, from_linen\n"
        "class Cut(nn.Module):\n"
        "    n: int\n"
        "    @nn.compact\n"
        "    def __call__(self, x):\n"
        "        return nn.Dense(self.n)(jax.lax.stop_gradient(nn.Dense(9, name='lost')(x)))\n"
        "@MODELS.register('tests_cut')\n"
        "def cut(num_outputs: int):\n"
        "    return from_linen(Cut(num_outputs))\n"
    )
    config = tmp_path / "c.yaml"
    config.write_text("model: {name: tests_cut}\n")
    assert main(["check", "--config", str(config), "--plugin", str(plugin)]) == 1
    said = capsys.readouterr().out
    assert "FAIL  every parameter gets a gradient: none reaches lost/bias, lost/kernel" in said
    assert "of the checks failed" in said


@pytest.mark.slow
def test_mnist_passes(shared_data):
    root = shared_data / "mnist"
    config = make_config(CONFIGS / "mnist_mlp.py", [f"data.root={root}"])
    assert [f.name for f in run_checks(config) if not f.ok] == []


class Spoilt(nn.Module):
    """Its outputs, or its gradients alone, are not numbers."""

    value: float
    forward: bool

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(3, name="out")(x)
        if self.forward:
            return x * self.value
        # The branch not taken has the derivative inf * 0.
        return x + jnp.where(x > 1e9, jnp.sqrt(x - jax.lax.stop_gradient(x)), 0.0)


@pytest.mark.parametrize(
    ("value", "forward"), [(np.nan, True), (np.inf, True), (np.nan, False)], ids=str
)
def test_what_is_not_finite_passes_no_check(value, forward):
    model, tx = from_linen(Spoilt(value, forward)), optax.adam(1e-2)
    state, loss = state_of(model), cross_entropy()
    findings = [
        check_gradients_reach(model, loss, state, BATCH),
        check_gradient_numerically(model, loss, state, BATCH),
        check_overfits(model, loss, tx, BATCH, steps=50),
        check_repeats(make_train_step(model, loss, tx), state, BATCH),
    ]
    assert [finding.name for finding in findings if finding.ok] == []
    assert all("nan" in f.detail.lower() or "inf" in f.detail.lower() for f in findings)


def test_parameters_that_are_not_finite_do_not_repeat():
    model = from_linen(Net())

    def step(state, batch):  # a step of one's own, without the flag
        return state.replace(params=jax.tree.map(lambda p: p * jnp.nan, state.params)), {}

    finding = check_repeats(step, state_of(model), BATCH)
    assert not finding.ok
    assert "NaN or Inf in the parameters" in finding.detail
