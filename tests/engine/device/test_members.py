"""Many runs in one engine."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.data import ArrayLoader, members_loader
from jaxtrain.engine import Engine, Events
from jaxtrain.engine.device.members import (
    InCommon,
    Members,
    axes_of_state,
    choose_order,
    map_own,
    one_of,
    state_of_one,
)
from jaxtrain.hooks import NaNGuard
from jaxtrain.metrics import Accuracy, Loss
from jaxtrain.models.mlp import mlp
from jaxtrain.step import create_train_state, cross_entropy, make_train_step

M = 3


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    arrays = {
        "inputs": rng.normal(size=(50, 6)).astype(np.float32),
        "labels": rng.integers(0, 3, 50).astype(np.int32),
    }
    model, tx = mlp(3, hidden=(8,), dropout=0.3), optax.adam(1e-2)
    step = make_train_step(model, cross_entropy(), tx)
    batch = {"inputs": arrays["inputs"][:1], "labels": arrays["labels"][:1]}
    states = [create_train_state(model, tx, batch, rng=jax.random.key(m)) for m in range(M)]
    loaders = [ArrayLoader(arrays, batch_size=16, seed=m) for m in range(M)]
    return step, states, loaders


def stack(states):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def engine_of(step, states, **options):
    engine = Engine(step, stack(states), members=len(states), **options)
    engine.add_metrics({"loss": Loss(), "accuracy": Accuracy()})
    return engine


def lone(step, state, loader, **options):
    engine = Engine(step, state, **options)
    engine.add_metrics({"loss": Loss(), "accuracy": Accuracy()})
    window = engine.track("loss", "grad_norm")
    engine.run(loader, max_epochs=2)
    return engine, window.read()


class Streamed:
    """A loader that has no arrays to offer."""

    def __init__(self, loader):
        self._loader = loader
        self.batch_size, self.steps_per_epoch = loader.batch_size, loader.steps_per_epoch

    def __getattr__(self, name):
        if name in ("arrays", "indices", "masked", "position", "cursor_at"):
            raise AttributeError(name)
        return getattr(self._loader, name)

    def fingerprint(self):
        return self._loader.fingerprint()

    def example(self):
        return self._loader.example()

    def start(self, epoch=0):
        return self._loader.start(epoch)

    def batches(self, cursor=None):
        return self._loader.batches(cursor)

    def __iter__(self):
        return iter(self._loader)


@pytest.mark.parametrize("form", ["fused", "single"])
@pytest.mark.parametrize("kind", ["own", "shared", "streamed"])
def test_in_turn_each_has_the_bits_of_a_lone_run(parts, form, kind):
    step, states, loaders = parts
    own = loaders if kind != "shared" else [loaders[0]] * M
    if kind == "streamed":
        own = [Streamed(loader) for loader in own]
    engine = engine_of(step, states, order="in_turn", form=form)
    window = engine.track("loss", "grad_norm")
    engine.run(members_loader(own), max_epochs=2)
    seen = window.read()
    state = engine.state.train_state
    for m in range(M):
        alone, said = lone(step, states[m], own[m], form=form)
        mine = jax.tree.map(lambda leaf, m=m: leaf[m], state)
        expected = alone.state.train_state
        for name in ("params", "opt_state", "step"):
            for a, b in zip(
                jax.tree.leaves(getattr(mine, name)),
                jax.tree.leaves(getattr(expected, name)),
                strict=True,
            ):
                np.testing.assert_array_equal(a, b)
        for name, value in alone.state.metrics.items():
            assert engine.state.metrics[name].shape == (M,)
            assert engine.state.metrics[name][m] == value
        for name, figures in said.items():
            for which, value in figures.items():
                np.testing.assert_allclose(seen[name][which][m], value, rtol=1e-6)
        assert engine.scalars()["loss"][m] == alone.scalars()["loss"]


def test_together_is_near(parts):
    step, states, loaders = parts
    engine = engine_of(step, states, order="together")
    engine.run(members_loader(loaders), max_epochs=2)
    for m in range(M):
        alone, _ = lone(step, states[m], loaders[m])
        np.testing.assert_allclose(
            engine.state.metrics["loss"][m], alone.state.metrics["loss"], rtol=1e-4
        )


def test_a_list_of_batches_is_everybodys(parts):
    step, states, loaders = parts
    batches = list(loaders[0])
    engine = engine_of(step, states)
    engine.run(batches, max_epochs=1)
    alone = Engine(step, states[1])
    alone.add_metrics({"loss": Loss()})
    alone.run(batches, max_epochs=1)
    assert engine.state.metrics["loss"][1] == alone.state.metrics["loss"]


def test_taken_up_within_an_epoch_it_goes_on_to_the_same_bits(parts):
    step, states, loaders = parts
    loader = members_loader(loaders)
    whole = engine_of(step, states)
    whole.run(loader, max_epochs=2)
    left = engine_of(step, states)
    left.attach_handler(Events.ITERATION_COMPLETED(once=6), lambda engine: engine.interrupt())
    left.run(loader, max_epochs=2)
    arrays, record = left.snapshot()
    again = engine_of(step, states)
    again.restore(jax.tree.map(jnp.copy, arrays), record)
    again.run(members_loader(loaders))
    assert again.state.iteration == whole.state.iteration == 8
    for name, value in whole.state.metrics.items():
        np.testing.assert_array_equal(again.state.metrics[name], value)


def test_who_was_not_finite_is_known_of_each(parts):
    step, states, loaders = parts
    bad = states[1].replace(params=jax.tree.map(lambda p: p * jnp.nan, states[1].params))
    engine = engine_of(step, [states[0], bad, states[2]])
    engine.run(members_loader(loaders), max_epochs=1)
    assert engine.nonfinite_members() == {1: 1}
    with pytest.raises(RuntimeError, match="3 members run, each of which may be finite"):
        engine.first_nonfinite()
    sound = engine_of(step, states)
    sound.run(members_loader(loaders), max_epochs=1)
    for m in (0, 2):
        assert engine.state.metrics["loss"][m] == sound.state.metrics["loss"][m]
    assert sound.nonfinite_members() == {}


def test_a_state_without_the_axis_is_refused(parts):
    step, states, _ = parts
    with pytest.raises(ValueError, match=r"members: state.* expected a first axis of 3"):
        Engine(step, states[0], members=M)
    engine = engine_of(step, states)
    with pytest.raises(ValueError, match="expected a first axis of 3"):
        engine.state.train_state = stack(states[:2])
    with pytest.raises(ValueError, match="a process function has none"):
        Engine(lambda engine, batch: None, members=2)
    with pytest.raises(ValueError, match=r"order: expected one of together, in_turn"):
        Engine(step, states[0], order="in_turn")
    with pytest.raises(ValueError, match=r"order: .*found 'both'"):
        Engine(step, stack(states), members=M, order="both")


class _OnBase(NamedTuple):
    """What is trained of a member, and what it stands on."""

    state: Any
    base: Any


@pytest.mark.parametrize("order", ["together", "in_turn"])
@pytest.mark.parametrize("form", ["single", "fused"])
def test_what_is_in_common_is_held_once(order, form):
    def step(one, batch):
        assert one.base.tree.shape == (6, 2)
        outputs = batch["inputs"] @ one.base.tree * one.state
        loss = jnp.mean(outputs**2)
        return one._replace(state=one.state - 0.1 * loss), {"loss": loss}

    base = jax.random.normal(jax.random.key(0), (6, 2))
    starts = jnp.asarray([1.0, 2.0, 3.0])
    arrays = {"inputs": np.ones((8, 6), np.float32)}
    loader = ArrayLoader(arrays, batch_size=4, seed=0)
    state = _OnBase(starts, InCommon(base))
    engine = Engine(step, state, members=M, order=order, form=form)
    engine.run(loader, max_epochs=2)
    found = engine.state.train_state
    assert found.base.tree is base  # neither copied nor given away
    for m, start in enumerate(starts):
        alone = Engine(step, _OnBase(start, InCommon(base)), form=form)
        alone.run(loader, max_epochs=2)
        np.testing.assert_allclose(found.state[m], alone.state.train_state.state, rtol=1e-6)


def test_a_step_can_not_change_what_is_in_common():
    def step(one, batch):
        return one._replace(base=InCommon(one.base.tree + 1)), {}

    state = _OnBase(jnp.zeros(M), InCommon(jnp.zeros(2)))
    engine = Engine(step, state, members=M)
    loader = ArrayLoader({"inputs": np.ones((8, 6), np.float32)}, batch_size=4, seed=0)
    with pytest.raises(TypeError, match=r"changes what the members have in common: state\.base"):
        engine.run(loader, max_epochs=1)


def test_parts_of_a_state_are_told_apart():
    state = {"a": jnp.zeros((M, 2)), "b": InCommon({"c": jnp.zeros(5), "d": None}), "e": None}
    assert axes_of_state(state) == [0, None]
    one = state_of_one(state)
    assert (one["a"].shape, one["b"].tree["c"].shape) == ((2,), (5,))
    doubled = map_own(lambda leaf: leaf + 1, state)
    assert float(doubled["a"].sum()) == 2 * M
    assert doubled["b"] is state["b"]


def test_a_hook_of_one_run_says_that_there_are_many(parts):
    step, states, loaders = parts
    engine = engine_of(step, states)
    engine.attach(NaNGuard())
    with pytest.raises(RuntimeError, match="nonfinite_members"):
        engine.run(members_loader(loaders), max_epochs=1)


def test_the_engine_says_what_it_is(parts):
    step, states, _ = parts
    assert (engine_of(step, states).members, engine_of(step, states).order) == (M, "in_turn")
    alone = Engine(step, states[0])
    assert (alone.members, alone.order) == (None, None)
    assert alone.nonfinite_members() == {}
    assert [choose_order(platform) for platform in ("cpu", "gpu")] == ["in_turn", "together"]


@pytest.mark.parametrize("order", ["together", "in_turn"])
def test_each(order):
    members = Members(2, order)
    given = {"a": jnp.arange(6.0).reshape(3, 2), "b": jnp.float32(10)}
    each = members.each(lambda x, d: x + d["a"] * d["b"], (0, {"a": 1, "b": None}))
    found = each(jnp.asarray([1.0, 2.0]), given)
    np.testing.assert_array_equal(found, [[1, 21, 41], [12, 32, 52]])
    shapes = one_of(given, {"a": 1, "b": None})
    assert (shapes["a"].shape, shapes["b"].shape) == ((3,), ())
