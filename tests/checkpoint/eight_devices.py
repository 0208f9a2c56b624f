"""Run by `test_template.py` in a process of its own: a checkpoint on eight simulated devices."""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.checkpoint import template as module

DEVICES = jax.devices()
VALUES = {
    "kernel": np.arange(128, dtype=np.float32).reshape(8, 16),
    "half": np.arange(32, dtype=np.float32).reshape(8, 4).astype(jnp.bfloat16),
    "bias": np.arange(16, dtype=np.float32),
    "step": np.int32(7),
    "empty": np.zeros((0, 8), np.float32),
}
KEYS = jax.random.split(jax.random.key(3), 8)


def shardings(mesh, *axes):
    """Rows over the first axis; the kernel's columns over the second, where there is one."""
    rows, columns = (*axes, None)[:2]
    specs = {
        "kernel": P(rows, columns),
        "half": P(rows),
        "bias": P(columns),
        "step": P(),
        "empty": P(),
        "keys": P(rows),
    }
    return {name: NamedSharding(mesh, spec) for name, spec in specs.items()}


def mesh(shape, names, kind):
    count = int(np.prod(shape))
    return Mesh(np.array(DEVICES[:count]).reshape(shape), names, (kind,) * len(names))


LAYOUTS = {
    "eight": shardings(mesh((8,), ("data",), AxisType.Auto), "data"),
    "explicit": shardings(mesh((8,), ("data",), AxisType.Explicit), "data"),
    "4x2": shardings(mesh((4, 2), ("data", "model"), AxisType.Auto), "data", "model"),
    "2x4": shardings(mesh((2, 4), ("data", "model"), AxisType.Auto), "model", "data"),
    "four": shardings(mesh((4,), ("data",), AxisType.Auto), "data"),
    "one": dict.fromkeys([*VALUES, "keys"], SingleDeviceSharding(DEVICES[5])),
}


def placed(layout):
    tree = VALUES | {"keys": KEYS}
    return {name: jax.device_put(value, layout[name]) for name, value in tree.items()}


def check(loaded, layout):
    for name, leaf in loaded.items():
        assert leaf.sharding == layout[name], (name, leaf.sharding, layout[name])
        assert leaf.committed
        value = jax.random.key_data(leaf) if name == "keys" else leaf
        want = jax.random.key_data(KEYS) if name == "keys" else VALUES[name]
        assert np.asarray(value).tobytes() == np.asarray(want).tobytes(), name


def main(directory):
    put = jax.device_put
    largest = []

    def watched(value, target=None, **options):
        """Nothing of the size of a whole array may come onto one device on its way to several."""
        if isinstance(value, jax.Array) and not jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            largest.append(value.shape)
        return put(value, target, **options)

    for saved_as in ("eight", "4x2", "explicit", "one"):
        state = placed(LAYOUTS[saved_as])
        shared = ("base",) if saved_as == "4x2" else ()
        store = CheckpointStore(f"{directory}/{saved_as}", asynchronous=False)
        store.save({"own": state, "base": state}, iteration=1, meta={}, shared=shared)
        for layout in LAYOUTS.values():
            arrays = placed(layout)
            shapes = {
                n: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding)
                for n, a in arrays.items()
            }
            for template in (arrays, shapes):
                module.jax.device_put = watched
                loaded, _ = store.load(store.latest(), {"own": template, "base": template})
                module.jax.device_put = put
                check(loaded["own"], layout)
                check(loaded["base"], layout)
        bare = {name: np.zeros_like(value) for name, value in VALUES.items()}
        bare["keys"] = jax.eval_shape(lambda: KEYS)
        loaded, _ = store.load(store.latest(), bare, part="own")
        assert all(leaf.devices() == {DEVICES[0]} for leaf in loaded.values())
        with jax.default_device(DEVICES[2]):
            loaded, _ = store.load(store.latest(), bare, part="own")
            free = {name: jnp.zeros_like(value) for name, value in VALUES.items()}
        assert all(leaf.devices() == {DEVICES[2]} for leaf in loaded.values())
        loaded, _ = store.load(store.latest(), free | {"keys": bare["keys"]}, part="own")
        for name in free:
            assert loaded[name].devices() == {DEVICES[2]}, name
            assert not loaded[name].committed
    assert largest == []
    print("all equal")


main(sys.argv[1])
