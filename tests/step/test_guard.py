"""What is not finite is left out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import from_linen
from jaxtrain.optim import sgd
from jaxtrain.step import (
    all_finite,
    as_before,
    create_train_state,
    cross_entropy,
    guard,
    make_train_step,
    train_step,
)

SGD, HEAVY = sgd(0.1), sgd(0.05, momentum=0.9)
LOSS = cross_entropy()


@pytest.mark.parametrize(
    ("tx", "options"),
    [
        (HEAVY, {"precision": "float32"}),
        (HEAVY, {"precision": "bfloat16"}),
        (HEAVY, {"precision": "float16"}),
        (SGD, {"accumulate": 3}),
    ],
)
def test_nan_in_the_input_changes_nothing_but_the_step(
    prepare, model, make_batch, same_bits, tx, options
):
    batch = make_batch()
    bad = {**batch, "inputs": batch["inputs"].copy()}
    bad["inputs"][7, 2] = np.nan
    state, step = prepare(model, tx, **options)
    state, _ = step(state, batch)  # moments and statistics are not at their start any more
    after, output = step(state, bad)
    assert not bool(output["finite"])
    assert np.isnan(float(output["loss"]))
    for name in ("params", "opt_state", "model_state", "frozen", "rng"):
        assert same_bits(getattr(after, name), getattr(state, name)), name
    assert int(after.step) == int(state.step) + 1 == 2
    recovered, output = step(after, batch)
    assert bool(output["finite"])
    assert not same_bits(recovered.params, after.params)


@pytest.mark.parametrize("form", [guard.by_branch, guard.by_select])
def test_an_update_is_left_out_in_either_way(
    prepare, tree_close, plain, make_batch, same_bits, monkeypatch, form
):
    batch = make_batch()
    bad = {**batch, "inputs": np.full_like(batch["inputs"], np.nan)}
    state, shared = prepare(plain, HEAVY)
    expected, _ = shared(state, batch)
    monkeypatch.setattr(train_step, "guarded", form)  # a GPU selects, a CPU branches
    step = jax.jit(make_train_step(plain, LOSS, HEAVY))
    taken, _ = step(state, batch)
    tree_close(taken.params, expected.params, rtol=1e-6)
    after, _ = step(taken, bad)
    assert same_bits((after.params, after.opt_state), (taken.params, taken.opt_state))


def test_a_gpu_is_not_asked_to_branch(prepare, plain, make_batch):
    state, step = prepare(plain, HEAVY)
    traced = step.trace(state, make_batch())
    texts = {to: traced.lower(lowering_platforms=(to,)).as_text() for to in ("cpu", "cuda")}
    # In both there are those, of constants, that choose what is for the platform.
    cases = {to: text.count("stablehlo.case") for to, text in texts.items()}
    assert cases["cpu"] == cases["cuda"] + 1
    assert texts["cuda"].count("stablehlo.select") > texts["cpu"].count("stablehlo.select")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_statistics_may_be_written_in_the_dtype_that_is_computed_in(prepare, make_batch, precision):
    class Means(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train):
            means = self.variable("statistics", "means", lambda: jnp.zeros(6, jnp.float32))
            if train:
                means.value = inputs.mean(0)
            return nn.Dense(3)(inputs)

    batch = make_batch()
    state, step = prepare(from_linen(Means()), precision=precision)
    after, _ = step(state, batch)
    means = after.model_state["statistics"]["means"]
    assert means.dtype == jnp.float32
    np.testing.assert_allclose(means, batch["inputs"].mean(0), atol=1e-2)


def test_a_gradient_that_is_not_finite_under_a_finite_loss(prepare, linear, make_batch, same_bits):
    def root(outputs, batch):
        return jnp.sqrt(outputs * 0).sum() + 1, jnp.float32(12)  # the slope of a root at 0

    state, step = prepare(linear, loss=root)
    after, output = step(state, make_batch())
    assert np.isfinite(float(output["loss"]))
    assert not np.isfinite(float(output["grad_norm"]))
    assert not bool(output["finite"])
    assert same_bits(after.params, state.params)


def test_a_loss_that_is_not_finite_under_a_finite_gradient(prepare, linear, make_batch, same_bits):
    def constant(outputs, batch):
        return outputs.sum() + jax.lax.stop_gradient(jnp.float32(jnp.nan)), jnp.float32(12)

    for options in ({}, {"accumulate": 3}):
        state, step = prepare(linear, loss=constant, **options)
        after, output = step(state, make_batch())
        assert np.isfinite(float(output["grad_norm"]))
        assert not bool(output["finite"])
        assert same_bits(after.params, state.params)


def test_without_the_guard_an_update_is_made_whatever_it_is(prepare, linear, make_batch, same_bits):
    batch = make_batch()
    state, guarded = prepare(linear, HEAVY)
    _, free = prepare(linear, HEAVY, guard=False)
    (kept, _), (taken, output) = guarded(state, batch), free(state, batch)
    assert same_bits(kept, taken)
    assert "finite" not in output
    assert "case" not in free.lower(state, batch).as_text()
    after, _ = free(state, {**batch, "inputs": np.full_like(batch["inputs"], np.nan)})
    assert np.isnan(after.params["w"]).all()


def test_float16_is_not_left_without_its_guard(linear):
    with pytest.raises(ConfigError, match="precision 'float16' needs the guard"):
        make_train_step(linear, LOSS, SGD, precision="float16", guard=False)


@pytest.mark.parametrize(("state_of", "step_of"), [("float32", "float16"), ("float16", "bfloat16")])
def test_a_state_of_another_precision_is_refused(linear, make_batch, state_of, step_of):
    state = create_train_state(linear, SGD, make_batch(), rng=jax.random.key(0), precision=state_of)
    step = make_train_step(linear, LOSS, SGD, precision=step_of)
    with pytest.raises(ConfigError, match=f"precision: the step's is '{step_of}', but the state"):
        step(state, make_batch())


@pytest.mark.parametrize("label", [-1, -100, 3, 1000])
@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_a_label_that_is_no_class_does_not_train(
    prepare, linear, make_batch, same_bits, label, smooth
):
    batch = make_batch()
    batch["labels"][4] = label
    state, step = prepare(linear, loss=cross_entropy(label_smoothing=smooth))
    after, output = step(state, batch)
    assert np.isnan(float(output["loss"]))
    assert not bool(output["finite"])
    assert same_bits(after.params, state.params)


def test_a_state_keeps_its_form():
    old = {"a": jnp.ones(2), "n": jnp.int32(1), "key": jax.random.key(0), "half": jnp.float16(1)}
    new = {**old, "a": jnp.ones(2, jnp.bfloat16), "half": jnp.float32(2)}
    found = as_before(old, new)
    assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in old.items()}
    with pytest.raises(ConfigError, match=r"\['a'\] was \(2,\) and became \(3,\)"):
        as_before(old, {**old, "a": jnp.ones(3)})


def test_all_finite_looks_at_floats_alone():
    assert bool(all_finite({}))
    assert bool(all_finite({"n": jnp.int32(3), "key": jax.random.key(0)}))
    assert bool(all_finite((jnp.ones(2), jnp.zeros((2, 0)))))
    for bad in (jnp.nan, jnp.inf):
        assert not bool(all_finite((jnp.ones(2), jnp.array([1.0, bad], jnp.bfloat16))))
