"""Steps on arrays that lie over a mesh of eight simulated devices, on both types of axes."""

import os
import subprocess
import sys

import pytest

from tests import compiling

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np, optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxtrain.models import Model
from jaxtrain.optim import adamw
from jaxtrain.step import create_train_state, cross_entropy, make_eval_step, make_train_step

KIND = AxisType.{kind}
mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(KIND, KIND))
put = lambda x, *spec: jax.device_put(x, NamedSharding(mesh, P(*spec)))

def apply(variables, batch, *, train, rngs=None):
    return batch["inputs"] @ variables["frozen"]["base"] @ variables["params"]["w"], {{}}

random = np.random.default_rng(0)
base = random.normal(size=(6, 6)).astype(np.float32)
w = random.normal(size=(6, 8)).astype(np.float32)
model = Model(init=lambda rng, batch: {{"params": {{"w": jnp.asarray(w)}}}}, apply=apply)
labels = np.arange(16, dtype=np.int32) % 8
labels[3] = -100
batch = {{
    "inputs": random.normal(size=(16, 6)).astype(np.float32),
    "labels": labels,
    "row_mask": np.float32([1] * 13 + [0] * 3),
}}
batch["inputs"][15] = np.nan
weights = None if {accumulate} == 1 else tuple(range(1, 9))
loss = cross_entropy(label_smoothing=0.1, ignore_label=-100, class_weights=weights)
options = dict(clip_norm=0.5, ema_decay=0.9, accumulate={accumulate})
tx = adamw(0.1)
step = jax.jit(make_train_step(model, loss, tx, **options))
given = dict(rng=jax.random.key(0), ema=True)

alone = create_train_state(model, tx, batch, frozen={{"base": jnp.asarray(base)}}, **given)
for _ in range(3):
    alone, expected = step(alone, batch)

params, frozen = {{"w": put(w, None, "model")}}, {{"base": put(base)}}
spread = {{name: put(x, "data") for name, x in batch.items()}}
with jax.set_mesh(mesh):
    state = create_train_state(model, tx, spread, params=params, frozen=frozen, **given)
    assert state.params["w"] is params["w"] and state.frozen["base"] is frozen["base"]
    moments = [x for x in jax.tree.leaves((state.opt_state, state.ema)) if x.shape == (6, 8)]
    assert len(moments) == 3
    for x in moments:
        assert x.sharding.is_equivalent_to(params["w"].sharding, 2), x.sharding
    for _ in range(3):
        state, found = step(state, spread)
    _, evaluated = jax.jit(make_eval_step(model, loss))(state, spread)
assert bool(found["finite"]), found
assert found["outputs"].shape == (16, 8)
assert state.params["w"].sharding.is_equivalent_to(params["w"].sharding, 2)
for name in ("loss", "grad_norm", "loss_weight"):
    np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)
np.testing.assert_allclose(state.params["w"], alone.params["w"], rtol=1e-3, atol=1e-4)
np.testing.assert_allclose(state.ema["w"], alone.ema["w"], rtol=1e-3, atol=1e-4)
assert np.isfinite(float(evaluated["loss"]))
print("equal")
"""


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("kind", ["Explicit", "Auto"])
def test_a_step_on_eight_devices_is_that_on_one(kind, accumulate):
    environment = {**os.environ, **compiling.devices(8)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(kind=kind, accumulate=accumulate)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr[-3000:]
