"""What is minimised: the loss, what is sown, and who reads what."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import Model, from_linen, from_nnx
from jaxtrain.step import (
    create_train_state,
    cross_entropy,
    forward,
    make_eval_step,
    make_train_step,
    mean_squared_error,
    objective,
    total_and_weight,
)
from jaxtrain.step.forward import Pass

X = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
LABELS = np.arange(12, dtype=np.int32) % 3


class LinenSowing(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        hidden = nn.Dense(4)(inputs)
        self.sow("losses", "size", jnp.square(hidden).mean())
        self.sow("losses", "size", jnp.float32(0.25))  # sown twice under one name
        self.sow("intermediates", "hidden", hidden)
        return nn.Dense(3)(hidden)


class NNXSowing(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(6, 4, rngs=rngs)
        self.second = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, inputs):
        hidden = self.first(inputs)
        self.sow("losses", "size", jnp.square(hidden).mean())
        self.sow("losses", "size", jnp.float32(0.25))
        self.sow(nnx.Intermediate, "hidden", hidden)
        return self.second(hidden)


def made(library, **options):
    if library == "linen":
        return from_linen(LinenSowing(), **options)
    return from_nnx(NNXSowing, **options)


def trained_on(model, batch, loss, tx=None, **options):
    tx = tx or optax.sgd(1.0)
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    after, output = jax.jit(make_train_step(model, loss, tx, **options))(state, batch)
    return state, after, output


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_what_is_sown_into_losses_joins_the_loss_and_its_gradient(library):
    model, batch = made(library), {"inputs": X, "labels": LABELS}
    state, after, output = trained_on(model, batch, cross_entropy())
    first = next(name for name in state.params if "0" in name or name == "first")

    def expected(params):
        layers = [params[name] for name in sorted(params, key=lambda name: name != first)]
        hidden = X @ layers[0]["kernel"] + layers[0]["bias"]
        logits = hidden @ layers[1]["kernel"] + layers[1]["bias"]
        each = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS)
        return each.mean() + jnp.square(hidden).mean() + 0.25

    value, gradient = jax.value_and_grad(expected)(state.params)
    assert float(output["loss"]) == pytest.approx(float(value), rel=1e-6)
    assert float(output["loss_sum"]) == pytest.approx(12 * float(value), rel=1e-6)
    jax.tree.map(
        lambda old, new, g: np.testing.assert_allclose(old - new, g, rtol=1e-4, atol=1e-6),
        state.params,
        after.params,
        gradient,
    )
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert "sown" not in output
    _, evaluated = make_eval_step(model, cross_entropy())(state, batch)
    assert float(evaluated["loss"]) == pytest.approx(float(value), rel=1e-6)
    assert "sown" not in evaluated


@pytest.mark.parametrize("library", ["linen", "nnx"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_other_collections_come_out_if_asked_for(library, accumulate):
    model, batch = made(library, sown=("intermediates",)), {"inputs": X, "labels": LABELS}
    state, _, output = trained_on(model, batch, cross_entropy(), accumulate=accumulate)
    assert set(output["sown"]) == {"intermediates"}
    (hidden,) = output["sown"]["intermediates"]["hidden"]
    assert hidden.shape == (12, 4)
    _, evaluated = make_eval_step(model, cross_entropy())(state, batch)
    np.testing.assert_allclose(
        evaluated["sown"]["intermediates"]["hidden"][0], hidden, rtol=1e-5, atol=1e-6
    )


def test_sown_losses_are_averaged_by_weight_over_micro_batches():
    batch = {"inputs": X, "labels": LABELS, "row_mask": np.float32([0] * 3 + [1] * 5 + [0] * 4)}

    def apply(variables, batch, *, train, rngs=None):
        outputs = batch["inputs"] @ variables["params"]
        penalty = jnp.square(variables["params"]).sum()  # the same in every micro-batch
        each = jnp.abs(outputs).sum(axis=-1) * batch["row_mask"]
        mean = each.sum() / jnp.maximum(batch["row_mask"].sum(), 1)
        return outputs, {"losses": {"penalty": penalty, "mean": (mean,)}}

    model = Model(init=lambda rng, batch: {"params": jnp.ones((6, 3))}, apply=apply)
    _, one, whole = trained_on(model, batch, cross_entropy())
    _, three, parts = trained_on(model, batch, cross_entropy(), accumulate=3)
    np.testing.assert_allclose(one.params, three.params, rtol=1e-5)
    assert float(whole["loss"]) == pytest.approx(float(parts["loss"]), rel=1e-6)
    assert float(whole["loss_weight"]) == float(parts["loss_weight"]) == 5
    assert float(whole["loss"]) > 18  # the penalty alone


def test_an_autoencoder_trains_and_is_evaluated_without_labels():
    class VAE(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            mean, log_var = jnp.split(nn.Dense(4)(inputs), 2, axis=-1)
            noise = jax.random.normal(self.make_rng("sample"), mean.shape)
            kl = -0.5 * (1 + log_var - mean**2 - jnp.exp(log_var)).sum(axis=-1)
            self.sow("losses", "kl", kl.mean())
            return nn.Dense(6)(mean + jnp.exp(log_var / 2) * noise)

    def reconstruction(outputs, batch):
        return jnp.square(outputs - batch["inputs"]).sum(), jnp.float32(len(outputs))

    model, tx, batch = from_linen(VAE()), optax.adam(3e-2), {"inputs": X}
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    step = jax.jit(make_train_step(model, reconstruction, tx))
    _, first = step(state, batch)
    for _ in range(100):
        state, output = step(state, batch)
    assert float(output["loss"]) < 0.9 * float(first["loss"])
    assert "labels" not in output
    assert "mask" not in output
    _, output = jax.jit(make_eval_step(model, reconstruction, rngs=True))(state, batch)
    assert 0 < float(output["loss"]) < float(first["loss"])
    with pytest.raises(ConfigError, match=r"no keys; make_eval_step\(..., rngs=True\)"):
        make_eval_step(model, reconstruction)(state, batch)


@pytest.mark.parametrize(
    ("loss", "name"),
    [(cross_entropy(), "cross_entropy"), (mean_squared_error(), "mean_squared_error")],
)
def test_a_loss_that_reads_labels_says_so_where_there_are_none(linear, loss, name):
    batch = {"inputs": X}
    message = f"{name} reads 'labels', the batch has only 'inputs'"
    with pytest.raises(DataError, match=message):
        trained_on(linear, batch, loss)
    state = create_train_state(linear, optax.sgd(1.0), batch, rng=jax.random.key(0))
    with pytest.raises(DataError, match=message):
        make_eval_step(linear, loss)(state, batch)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (lambda outputs, batch: outputs.mean(), r"a .* with shapes \(\)"),
        (lambda outputs, batch: (outputs, 12.0), r"a tuple with shapes \(12, 3\), \(\)"),
        (lambda outputs, batch: (outputs.sum(), 1.0, 2.0), r"shapes \(\), \(\), \(\)"),
    ],
)
def test_a_loss_that_is_no_pair_of_scalars_is_refused(linear, found, what):
    with pytest.raises(ConfigError, match="a loss returns a pair of scalars.*" + what):
        trained_on(linear, {"inputs": X}, found)


def test_totals_and_weights_become_float32():
    seen = Pass(jnp.ones((4, 2), jnp.float32), {}, {"losses": {"a": jnp.bfloat16(2)}})
    total, weight = total_and_weight(lambda outputs, batch: (jnp.bfloat16(3), 4), seen, {})
    assert (total.dtype, weight.dtype) == (jnp.float32, jnp.float32)
    assert (float(total), float(weight)) == (11.0, 4.0)


def test_the_parameters_given_are_those_that_are_used(linear):
    batch = {"inputs": X, "labels": LABELS}
    state = create_train_state(linear, optax.sgd(1.0), batch, rng=jax.random.key(0))
    minimised = objective(forward(linear), cross_entropy())
    total, weight, seen = minimised({"w": jnp.zeros((6, 3))}, state, batch, state.rng)
    assert float(total) == pytest.approx(12 * np.log(3), rel=1e-6)
    assert float(weight) == 12
    assert not seen.outputs.any()
