"""Virtual shards: exact over shards of any weight, and the same bits on any number of devices."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import Model
from jaxtrain.optim import sgd
from jaxtrain.parallel import make_mesh
from jaxtrain.step import cross_entropy, make_train_step, mixup
from jaxtrain.step.wall import wall
from tests import compiling

UNEVEN = (0, 1, 2, 5, 6, 7, 8)  # of 4 shards of 4 rows: 1, 1, 3 and 4 rows are real


def noisy(variables, batch, *, train, rngs=None):
    noise = jax.random.normal(rngs["dropout"], (batch["inputs"].shape[0], 3))
    return batch["inputs"] @ variables["params"]["w"] * batch["scale"] + noise, {}


NOISY = Model(init=lambda rng, batch: {"params": {"w": jnp.ones((6, 3))}}, apply=noisy)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_is_the_step_of_as_many_micro_batches(prepare, tree_close, make_batch, accumulate):
    """Keys and rows are the same; what differs is the order in which is summed."""
    batch = {**make_batch(16, padding=UNEVEN), "scale": np.float32(0.5)}
    options = {"clip_norm": 0.1, "ema_decay": 0.9, "sam_radius": 0.05}
    state, shards = prepare(
        NOISY, sgd(1.0), virtual_shards=4, accumulate=accumulate, ema=True, **options
    )
    _, parts = prepare(NOISY, sgd(1.0), accumulate=4 * accumulate, ema=True, **options)
    (found, said), (expected, wanted) = shards(state, batch), parts(state, batch)
    tree_close(found.params, expected.params, rtol=2e-6, atol=2e-7)
    tree_close(found.ema, expected.ema, rtol=2e-6, atol=2e-7)
    assert int(found.step) == 1
    assert said.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(said[name], value, rtol=2e-6, atol=1e-6, err_msg=name)
    assert not np.array_equal(said["outputs"][:4], said["outputs"][4:8])


def test_new_statistics_are_the_mean_of_the_shards(prepare, make_batch):
    def init(rng, batch):
        stats = {"mean": jnp.zeros(6, jnp.bfloat16), "seen": jnp.int32(0), "rows": jnp.int32(0)}
        return {"params": jnp.ones((6, 3)), "stats": stats}

    def apply(variables, batch, *, train, rngs=None):
        inputs, old = batch["inputs"], variables["stats"]
        new = {"mean": inputs.mean(0), "seen": old["seen"] + 1, "rows": batch["labels"][0]}
        sown = {"stats": new, "inner": {"sum": inputs.sum(0), "all": inputs}}
        return {"logits": inputs @ variables["params"], "norm": inputs.sum(0)}, sown

    batch = make_batch(16)
    loss = cross_entropy(outputs="logits")
    state, step = prepare(Model(init=init, apply=apply), loss=loss, virtual_shards=4)
    after, said = step(state, batch)
    stats = after.model_state["stats"]
    assert stats["mean"].dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(stats["mean"]), batch["inputs"].mean(0), atol=1e-2)
    assert int(stats["seen"]) == 1
    assert int(stats["rows"]) == batch["labels"][0]  # not a float: the first shard's
    sums = batch["inputs"].reshape(4, 4, 6).sum(1)
    np.testing.assert_allclose(said["outputs"]["norm"], sums, rtol=1e-5)
    np.testing.assert_allclose(said["sown"]["inner"]["sum"], sums, rtol=1e-5)
    np.testing.assert_array_equal(said["sown"]["inner"]["all"], batch["inputs"])


def test_a_step_that_is_not_finite_is_left_out(prepare, linear, make_batch):
    batch = make_batch(16)
    batch["inputs"][9] = np.nan
    state, step = prepare(linear, virtual_shards=4)
    after, said = step(state, batch)
    assert not bool(said["finite"])
    np.testing.assert_array_equal(after.params["w"], state.params["w"])
    assert int(after.step) == 1


def test_a_search_along_a_line_sees_the_same_loss(prepare, linear, make_batch):
    """The value at the parameters themselves, as an optimizer is given it."""
    seen = []

    def update(grads, state, params, *, value, value_fn, **extra):
        seen.append(1)
        return jax.tree.map(jnp.zeros_like, grads), {"gap": value - value_fn(params)}

    init = lambda params: {"gap": jnp.float32(1)}  # noqa: E731
    tx = optax.GradientTransformationExtraArgs(init, update)
    state, step = prepare(linear, tx, virtual_shards=4, accumulate=2)
    after, _ = step(state, make_batch(16, padding=UNEVEN))
    assert seen
    assert abs(float(after.opt_state["gap"])) < 1e-6


def test_rows_are_mixed_within_their_shard(prepare, linear, make_batch):
    batch = make_batch(16)
    state, step = prepare(linear, virtual_shards=8, mix=mixup(0.2))
    assert bool(step(state, batch)[1]["finite"])


def test_xla_keeps_the_wall_and_what_stands_behind_it(linear, prepare, make_batch):
    state, step = prepare(linear, virtual_shards=4, clip_norm=1.0)
    text = step.lower(state, make_batch(16)).compile().as_text()
    # The shards, each of them, and carrying; the end of the step.
    assert text.count(" while(") >= 4
    assert int(wall(state.step)) == 1


@pytest.mark.parametrize("count", [0, 1, 3, 12, -4])
def test_shards_are_added_in_pairs(linear, count):
    with pytest.raises(ConfigError, match=f"expected a power of two, 2 or more, found {count}"):
        make_train_step(linear, cross_entropy(), sgd(0.1), virtual_shards=count)


def test_accumulation_counts_from_one(linear):
    with pytest.raises(ConfigError, match="accumulate: expected at least 1, found 0"):
        make_train_step(linear, cross_entropy(), sgd(0.1), virtual_shards=2, accumulate=0)


def test_one_device_on_a_mesh_is_one_device(prepare, linear, make_batch):
    mesh = make_mesh(devices=jax.devices()[:1])
    state, step = prepare(linear, virtual_shards=4, mesh=mesh)
    _, alone = prepare(linear, virtual_shards=4)
    batch = make_batch(16)
    np.testing.assert_array_equal(
        step(state, batch)[0].params["w"], alone(state, batch)[0].params["w"]
    )


@pytest.mark.parametrize(("accumulate", "asked"), [(1, "8;"), (2, "8 of accumulate=2 micro")])
def test_a_batch_that_does_not_split(prepare, linear, make_batch, accumulate, asked):
    state, step = prepare(linear, virtual_shards=8, accumulate=accumulate)
    with pytest.raises(DataError, match=f"can't be split into virtual_shards={asked}"):
        step(state, make_batch(12))


def test_other_meshes_are_refused():
    """What can't be the same on any number of devices says so, before anything is traced."""
    program = """
import jax, pytest
from jaxtrain.errors import ConfigError
from jaxtrain.parallel import make_mesh
from jaxtrain.step.virtual_shards import VirtualShards
VirtualShards(8, make_mesh())
for axis in ("fsdp", "tensor"):
    with pytest.raises(ConfigError, match=f"leave out virtual_shards, or {axis}"):
        VirtualShards(8, make_mesh(**{axis: 2}))
with pytest.raises(ConfigError, match="expected as many for each device of 8, found 4"):
    VirtualShards(4, make_mesh())
with pytest.raises(ConfigError, match="the axis 'data', found {'x': 8}"):
    VirtualShards(8, jax.make_mesh((8,), ("x",)))
"""
    _run(program, compiling.devices(8))


def test_the_bits_are_the_same_on_any_number_of_devices():
    """With XLA's own levels, which are what users have: through an engine, metrics included."""
    program = """
from benchmarks.elastic import trained
if __name__ == "__main__":
    found = {trained("nnx", devices, 30, forms=("fused",)) for devices in (1, 4)}
    assert len(found) == 1, found
"""
    simulated = "--xla_force_host_platform_device_count=4"
    flags = f"{compiling.FULLY['XLA_FLAGS']} {simulated}".strip()
    _run(program, {**compiling.NOTHING, "XLA_FLAGS": flags, "NPROC": "16"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "devices", "processes"),
    [
        ("mlp", (1, 2, 8), (2, 4)),  # a process alone is a device alone
        ("cnn", (1, 4), (2,)),
        ("encoder", (1, 4), (2,)),
        ("nnx", (1, 4), (2,)),
    ],
)
def test_the_bits_are_the_same_for_every_number_of_devices_and_processes(case, devices, processes):
    """Most numbers for one case; what a kind of layer changes shows with a few."""
    program = f"""
from benchmarks.elastic import digests
if __name__ == "__main__":
    found = digests({case!r}, 21, devices={devices}, processes={processes})
    assert len(found) == {len(devices) + len(processes)} and len(set(found.values())) == 1, found
"""
    _run(program, {**compiling.NOTHING, **compiling.FULLY})


def _run(program, variables):
    environment = {**os.environ, **variables}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
