"""What is read off a step before it runs, and where a state lives."""

import gc
import os
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.engine.device.observers import Observers
from jaxtrain.engine.device.program import Program
from jaxtrain.metrics import Loss, Mean
from tests import compiling

STATE = {"params": jnp.ones(3), "frozen": {"base": jnp.ones(5)}, "rng": jax.random.key(0)}


def train(state, batch):
    seen = (state["frozen"]["base"].sum() + batch) * jax.random.uniform(state["rng"])
    return state | {"params": state["params"] + seen}, {"loss": seen}


def fixed(step, state=STATE):
    program = Program(step, Observers({}, ()), state, jnp.float32(0), keeps=frozenset())
    names = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(state)]
    return {name for name, stays in zip(names, program.fixed, strict=True) if stays}


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, lambda f: jax.jit(jax.jit(f))])
def test_what_a_step_passes_through_is_known(wrap):
    assert fixed(wrap(train)) == {"['frozen']['base']", "['rng']"}
    assert len(fixed(wrap(lambda s, b: (s, {})))) == 3


def test_exchanged_leaves_are_not_passed_through():
    state = {"a": jnp.ones(2), "b": jnp.ones(2)}
    assert fixed(lambda s, b: ({"a": s["b"], "b": s["a"]}, {}), state) == set()
    assert fixed(jax.jit(lambda s, b: ({"a": s["b"], "b": s["a"]}, {})), state) == set()


@pytest.mark.parametrize("form", ["single", "fused"])
def test_a_frozen_base_is_neither_copied_nor_given_away(form):
    """P3: through dispatches, a look at the state in each of them, an evaluation, a snapshot."""
    base = STATE["frozen"]["base"]
    engine = Engine(train, STATE, form=form)
    evaluator = Engine(lambda s, b: (s, {"loss": s["params"].sum()}), STATE, form=form)

    @engine.on(Events.ITERATION_COMPLETED(every=2))
    def look(engine):
        state = engine.state.train_state
        assert state["frozen"]["base"] is base
        evaluator.reset()
        evaluator.run([jnp.float32(0)], state=state)
        assert evaluator.state.train_state is state
        assert engine.snapshot()[0]["train_state"]["frozen"]["base"] is base

    engine.run([jnp.float32(1)] * 7, max_epochs=2)
    assert not base.is_deleted()
    assert float(STATE["params"][0]) == 1


def test_a_step_that_is_given_a_python_number_says_what_to_do():
    """R11: flax's own TrainState begins with `step=0`."""
    with pytest.raises(TypeError, match=r"int\[\] becomes int32\[\] \(it was given as a Py"):
        Engine(lambda s, b: ({"n": jnp.asarray(s["n"]) + 1}, {}), {"n": 0}).run([jnp.float32(0)])


def test_a_metric_that_changes_its_state_is_named():
    class Growing:
        def empty(self):
            return jnp.zeros(())

        def update(self, state, output):
            return jnp.zeros((2,))

        merge = compute = update

    engine = Engine(train, STATE)
    engine.add_metrics({"growing": Growing()})
    with pytest.raises(TypeError, match="metric 'growing': update must give a state of the struct"):
        engine.run([jnp.float32(0)])


@pytest.mark.parametrize("name", ["loss", "loss_sum"])
def test_metrics_do_not_pool_a_population(name):
    """S7, R13: but the population itself trains, and its first bad step is known."""
    states = jnp.arange(4.0)

    def member(state, batch):
        return state + batch, {name: state, "finite": jnp.isfinite(state + batch)}

    engine = Engine(jax.vmap(member, in_axes=(0, None)), states, form="fused")
    engine.keep(name)
    engine.run([jnp.float32(1), jnp.float32(np.nan)])
    assert engine.state.output[name].shape == (4,)
    assert engine.first_nonfinite() == 2
    engine = Engine(jax.vmap(member, in_axes=(0, None)), states)
    engine.add_metrics({"mean": Mean(name)})
    with pytest.raises(
        TypeError, match=r"has shape \(4,\), as if it were vmapped over a population"
    ):
        engine.run([jnp.float32(1)])


def test_a_state_of_another_structure_is_compiled_for():
    def step(state, batch):
        return jax.tree.map(lambda x: x + batch, state), {}

    engine = Engine(step, jnp.float32(0))
    engine.run([jnp.float32(1)])
    engine.run([jnp.float32(1)], state={"a": jnp.float32(5), "b": jnp.ones(2)})
    assert float(engine.state.train_state["a"]) == 6


def test_an_engine_that_is_dropped_is_freed_at_once():
    """R12: without the cyclic collector, and its arrays with it."""
    engine = Engine(lambda s, b: (s + b, {"loss": b, "loss_sum": b, "loss_weight": b}), jnp.ones(9))
    engine.add_metrics({"loss": Loss()})
    window = engine.track("loss")
    engine.attach_handler(Events.ITERATION_COMPLETED(every=2), lambda e: e.scalars())
    engine.run([jnp.float32(1)] * 5, max_epochs=2)
    gc.collect()
    gc.disable()
    try:
        engine_ref = weakref.ref(engine)
        state_ref = weakref.ref(engine.snapshot()[0]["train_state"])
        del engine, window
        assert (engine_ref(), state_ref()) == (None, None)
    finally:
        gc.enable()


EIGHT = """
import jax, jax.numpy as jnp, numpy as np, sys
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
from jaxtrain.engine import Engine, Events

form, kind = sys.argv[1], sys.argv[2]
axis = AxisType.Explicit if kind == "explicit" else AxisType.Auto
mesh = jax.make_mesh((8,), ("data",), axis_types=(axis,))
spread = NamedSharding(mesh, P("data"))
D = 64


def step(state, batch):
    def loss(w):
        return jnp.square(jnp.tanh(batch["x"] @ w)).mean()

    value, grad = jax.value_and_grad(loss)(state["w"])
    new = {"w": state["w"] - grad, "rows": state["rows"] + 1, "n": state["n"] + 1}
    if "v" in state:  # nothing in its value says where it lives
        new["v"] = jnp.full((16, 4), value)
    return new, {"loss": value}


state = {
    "w": jax.device_put(jnp.full((D, D), 0.1), NamedSharding(mesh, P())),
    "rows": jax.device_put(jnp.zeros((16, 4)), spread),
    "n": jnp.int32(0),
}
if kind == "auto":  # with explicit axes a step says so itself
    state["v"] = jax.device_put(jnp.zeros((16, 4)), spread)
batch = {"x": jax.device_put(np.ones((64, D), np.float32), spread)}
engine = Engine(step, state, form=form)


@engine.on(Events.ITERATION_COMPLETED(every=20))
def look(engine):
    assert engine.state.train_state["rows"].sharding.is_equivalent_to(spread, 2)


engine.run([batch] * 200, max_epochs=1)
after = engine.state.train_state
for name in {"rows", "v"} & after.keys():
    assert after[name].sharding.is_equivalent_to(spread, 2), (name, after[name].sharding)
assert len(after["w"].sharding.device_set) == 8
assert int(after["n"]) == 200
portion = engine._batches._feed  # what a dispatch is given
portion.begin(None, anew=True)
data = portion.take(1, None).data["x"]
assert "data" in str(data.sharding.spec), data.sharding
flops = engine._dispatch.compiled(batch, portion.take(1, None)).cost_analysis()["flops"]
whole = 2 * 64 * D * D * 2  # a product forward, one backward
print(flops / whole)
"""


@pytest.mark.parametrize("kind", ["auto", "explicit"])
@pytest.mark.parametrize("form", ["single", "fused"])
def test_sharding_is_kept_and_each_device_does_its_share(form, kind):
    """S6: counted in floating-point operations a device, of eight that are simulated."""
    done = subprocess.run(
        [sys.executable, "-c", EIGHT, form, kind],
        capture_output=True,
        text=True,
        env={**os.environ, **compiling.devices(8)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 0.25


@pytest.mark.parametrize(
    ("returned", "found"), [(lambda s: s, "one thing"), (lambda s: (s, {}, {}), "a tuple of 3")]
)
def test_a_step_that_returns_something_else_is_told_what_it_returns(returned, found):
    engine = Engine(lambda s, b: returned(s), {"a": jnp.ones(2), "b": jnp.ones(2)}, form="single")
    with pytest.raises(TypeError, match=rf"a step returns \(state, output\), found {found}"):
        engine.run([jnp.float32(0)])
