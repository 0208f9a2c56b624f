"""A member among others."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxtrain.models.mlp import mlp
from jaxtrain.step import create_train_state, cross_entropy, make_eval_step, make_train_step
from jaxtrain.sweeps import Member, member_eval_step, member_step
from jaxtrain.sweeps.member import of_best, with_verdict
from jaxtrain.varied import Numbers


def _parts():
    model, tx = mlp(3, hidden=(4,)), optax.adam(1e-2)
    batch = {
        "inputs": np.ones((5, 2), np.float32),
        "labels": np.arange(5, dtype=np.int32) % 3,
    }
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    step = make_train_step(model, cross_entropy(), tx)
    member = Member.beginning(state, (), trains=jnp.ones((), bool), failed_at=jnp.int32(0))
    return model, step, state, member, batch


def _equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_it_trains_as_a_run_does():
    _, step, state, member, batch = _parts()
    new, said = jax.jit(member_step(step, Numbers()))(member, batch)
    alone, told = jax.jit(step)(state, batch)
    _equal(new.state.params, alone.params)
    _equal(new.best.params, state.params)
    assert said["loss"] == told["loss"]
    assert bool(new.trains)
    assert int(new.failed_at) == 0


def test_one_that_is_not_finite_rests_from_then_on():
    _, step, _, member, batch = _parts()
    run = jax.jit(member_step(step, Numbers()))
    member, _ = run(member, batch)
    broken = {**batch, "inputs": batch["inputs"] * np.nan}
    failed, said = run(member, broken)
    assert not said["finite"]
    assert not failed.trains
    assert int(failed.failed_at) == 2
    _equal(failed.state.params, member.state.params)
    after, said = run(failed, batch)
    assert bool(said["finite"])  # it is told once
    assert int(after.failed_at) == 2
    _equal(after.state.params, member.state.params)
    assert int(after.state.step) == int(failed.state.step)


def test_it_is_evaluated_as_it_stands_or_at_its_best():
    model, step, state, member, batch = _parts()
    member, _ = jax.jit(member_step(step, Numbers()))(member, batch)
    evaluate = jax.jit(member_eval_step(make_eval_step(model, cross_entropy()), Numbers()))
    now = evaluate(member, batch)[1]["loss"]
    best = evaluate(of_best(member), batch)[1]["loss"]
    assert now < best
    _equal(of_best(member).state.params, state.params)


def test_the_verdict_is_about_each():
    _, step, _, member, batch = _parts()
    new, _ = jax.jit(member_step(step, Numbers()))(member, batch)
    both = jax.tree.map(lambda a: jnp.stack([a, a]), new)
    after = with_verdict(both, jnp.asarray([True, False]), jnp.asarray([True, False]))
    first, second = (jax.tree.map(lambda a, m=m: a[m], after) for m in range(2))
    _equal(first.best.params, new.state.params)
    _equal(second.best.params, new.best.params)
    assert after.trains.tolist() == [True, False]
