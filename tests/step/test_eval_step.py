"""Evaluation: the state passes through, keys and the average where they are asked for."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxtrain.errors import ConfigError
from jaxtrain.models import Model, from_linen, from_nnx
from jaxtrain.optim import evaluation_params, grouped, schedule_free_sgd, sgd
from jaxtrain.step import create_train_state, cross_entropy, make_eval_step, make_train_step


def test_evaluation_leaves_the_state_and_draws_no_random_numbers(
    prepare, model, make_batch, same_bits
):
    batch = make_batch(padding=(10, 11))
    state, _ = prepare(model)
    evaluate = make_eval_step(model, cross_entropy())
    assert evaluate(state, batch)[0] is state
    compiled = jax.jit(evaluate)
    after, output = compiled(state, batch)
    assert same_bits(after, state)
    assert {k: v.shape for k, v in output.items()} == {
        "loss": (),
        "loss_sum": (),
        "loss_weight": (),
        "outputs": (12, 3),
        "labels": (12,),
        "mask": (12,),
    }
    other_step = state.replace(step=jnp.int32(9), rng=jax.random.key(9))
    assert same_bits(compiled(other_step, batch)[1], output)
    assert float(output["loss_weight"]) == 10
    # Rows do not see each other: running statistics are used, not the batch's.
    alone = compiled(state, jax.tree.map(lambda x: np.repeat(x[:1], 12, 0), batch))[1]
    np.testing.assert_allclose(alone["outputs"][0], output["outputs"][0], rtol=1e-5, atol=1e-6)


def test_evaluation_of_padding_alone_is_zero(prepare, linear, make_batch):
    batch = make_batch(padding=range(12))
    state, _ = prepare(linear)
    output = make_eval_step(linear, cross_entropy())(state, batch)[1]
    assert (float(output["loss"]), float(output["loss_weight"])) == (0.0, 0.0)


class Sampling(nn.Module):
    """Noise for every row, from a stream of its own name, and dropout that stays on."""

    @nn.compact
    def __call__(self, inputs, train):
        hidden = inputs + jax.random.normal(self.make_rng("sample"), inputs.shape)
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=False)(hidden))


def test_evaluation_may_be_given_keys(make_batch, same_bits):
    model, tx, batch = from_linen(Sampling()), sgd(0.1), make_batch()
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    evaluate = jax.jit(make_eval_step(model, cross_entropy(), rngs=True))
    output = evaluate(state, batch)[1]
    assert same_bits(output, evaluate(state, batch)[1])
    others = [state.replace(step=jnp.int32(1)), state.replace(rng=jax.random.key(5))]
    for other in others:
        assert not np.array_equal(evaluate(other, batch)[1]["outputs"], output["outputs"])
    trained = make_train_step(model, cross_entropy(), tx)(state, batch)[1]
    assert not np.allclose(trained["outputs"], output["outputs"])  # keys of its own


class NNXSampling(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(6, 3, rngs=rngs)
        self.rngs = rngs

    def __call__(self, inputs, *, train):
        return self.dense(inputs + self.rngs.sample.normal(inputs.shape))


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_a_model_that_samples_without_keys_says_what_to_do(make_batch, library):
    made = from_linen(Sampling()) if library == "linen" else from_nnx(NNXSampling)
    batch = make_batch()
    state = create_train_state(made, sgd(0.1), batch, rng=jax.random.key(0))
    for compiled in (lambda step: step, jax.jit):
        with pytest.raises(ConfigError, match=r"no keys; make_eval_step\(..., rngs=True\)"):
            compiled(make_eval_step(made, cross_entropy()))(state, batch)
    output = make_eval_step(made, cross_entropy(), rngs=True)(state, batch)[1]
    assert np.isfinite(float(output["loss"]))


def test_evaluation_reads_a_leaf_without_rows(linear, make_batch):
    def apply(variables, batch, *, train, rngs=None):
        return batch["inputs"] @ variables["params"]["w"] * batch["alpha"], {}

    model = Model(init=linear.init, apply=apply)
    batch = {"alpha": np.float32(2), **make_batch()}
    state = create_train_state(model, sgd(0.1), batch, rng=jax.random.key(0))
    output = make_eval_step(model, cross_entropy())(state, batch)[1]
    np.testing.assert_allclose(
        output["outputs"], 2 * batch["inputs"] @ state.params["w"], rtol=1e-5
    )


def test_where_the_optimizer_averages_that_is_evaluated(linear, prepare, make_batch):
    state, step = prepare(linear, schedule_free_sgd(0.5))
    batch = make_batch()
    for _ in range(3):
        state, _ = step(state, batch)
    x = evaluation_params(state.opt_state, state.params)
    assert np.abs(x["w"] - state.params["w"]).max() > 1e-3
    np.testing.assert_array_equal(state.evaluated()["w"], x["w"])
    evaluate = make_eval_step(linear, cross_entropy())
    seen, plain = (evaluate(s, batch)[1] for s in (state, state.replace(params=x, opt_state=())))
    np.testing.assert_allclose(seen["outputs"], plain["outputs"], rtol=1e-6)
    other = state.replace(ema={"w": jnp.zeros((6, 3))})
    assert other.evaluated() is other.ema
    np.testing.assert_array_equal(evaluate(other, batch)[1]["outputs"], seen["outputs"])


def test_a_second_average_and_one_of_what_is_frozen_are_refused(linear, make_batch):
    batch, tx = make_batch(), schedule_free_sgd(0.5)
    state = create_train_state(linear, tx, batch, rng=jax.random.key(0), ema=True)
    with pytest.raises(ConfigError, match="ema_decay: the optimizer keeps an average of its own"):
        make_train_step(linear, cross_entropy(), tx, ema_decay=0.9)(state, batch)

    def init(rng, batch):
        return {"params": {"w": jnp.ones((6, 3)), "v": jnp.ones(3)}}

    def apply(variables, batch, *, train, rngs=None):
        params = variables["params"]
        return batch["inputs"] @ params["w"] + params["v"], {}

    model = Model(init=init, apply=apply)
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    with pytest.raises(ConfigError, match="freeze: the optimizer averages what is to stay"):
        make_train_step(model, cross_entropy(), tx, freeze=["v"])(state, batch)
    tx = grouped({"": tx, "held": optax.set_to_zero()}, {"held": ["v"]})
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    after, _ = make_train_step(model, cross_entropy(), tx, freeze=["v"])(state, batch)
    np.testing.assert_array_equal(after.evaluated()["v"], np.ones(3))
    assert not np.array_equal(after.evaluated()["w"], state.params["w"])


def noisy():
    """A linear model that adds what is drawn for it, in evaluations, too."""

    def init(rng, batch):
        return {"params": {"w": jnp.ones((3, 2))}}

    def apply(variables, batch, *, train, rngs=None):
        outputs = batch["inputs"] @ variables["params"]["w"]
        noise = jax.random.normal(rngs["dropout"], outputs.shape) if rngs else 0.0
        return outputs + noise, {}

    return Model(init=init, apply=apply)


@pytest.mark.parametrize("rngs", [False, True])
def test_virtual_shards_are_judged_one_by_one_each_with_a_key_of_its_own(rngs):
    model, random = noisy(), np.random.default_rng(0)
    batch = {
        "inputs": random.normal(size=(8, 3)).astype(np.float32),
        "labels": np.arange(8, dtype=np.int32) % 2,
        "row_mask": np.float32([1, 1, 1, 0, 1, 1, 0, 0]),  # the last shard has no row that counts
    }
    state = create_train_state(model, optax.sgd(0.1), batch, rng=jax.random.key(1))
    whole = jax.jit(make_eval_step(model, cross_entropy(), rngs=rngs))
    parts = jax.jit(make_eval_step(model, cross_entropy(), rngs=rngs, virtual_shards=4))
    after, found = parts(state, batch)
    _, expected = whole(state, batch)
    assert found.keys() == expected.keys()
    assert after.params["w"].tolist() == state.params["w"].tolist()
    for name in ("labels", "mask", "loss_weight"):
        np.testing.assert_array_equal(found[name], expected[name])
    noise = found["outputs"] - batch["inputs"] @ np.ones((3, 2), np.float32)
    if not rngs:
        np.testing.assert_allclose(found["outputs"], expected["outputs"], rtol=1e-6)
        np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)
        return
    shards = {np.asarray(noise[2 * i : 2 * i + 2]).round(4).tobytes() for i in range(4)}
    assert len(shards) == 4
