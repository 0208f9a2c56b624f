"""One of several processes that load what others have saved, and save it on their own meshes.

    python on_meshes.py PORT NUMBER COUNT DIRECTORY

Every checkpoint below DIRECTORY is loaded on every mesh of this many processes, and compared bit
for bit; then the same values are saved on each mesh.
"""

import json
import sys
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrain.checkpoint import CheckpointStore, named_leaves
from jaxtrain.checkpoint.leaves import to_host
from jaxtrain.checkpoint.spread import Spread
from jaxtrain.parallel import exchange, make_mesh, meet

VALUES = {
    "kernel": np.arange(8 * 16, dtype=np.float32).reshape(8, 16),
    "half": np.arange(32).reshape(8, 4).astype(ml_dtypes.bfloat16),
    "eighth": np.arange(64).reshape(8, 8).astype(ml_dtypes.float8_e4m3),
    "cube": np.arange(3 * 8 * 8, dtype=np.int32).reshape(3, 8, 8),
    "bias": np.array([np.nan, -0.0, 1e-45], np.float32),
    "step": np.array(7, np.int32),
    "empty": np.zeros((0, 8), np.float32),
}
AXES = {
    "kernel": ("rows", "columns"),
    "half": ("rows",),
    "eighth": (None, "all"),
    "cube": (None, "columns", "rows"),
    "bias": (),
    "step": (),
    "empty": (),
}
# By how many processes: how many devices, and what the two names of axes mean on a mesh of them.
MESHES = {
    4: {
        "blocks": (8, {"fsdp": 4, "tensor": 2}, "fsdp", "tensor"),
        "turned": (8, {"data": 2, "fsdp": 4}, "data", "fsdp"),
    },
    2: {
        "columns": (8, {"fsdp": 8}, None, "fsdp"),
        "twice": (8, {"data": 2, "fsdp": 4}, "fsdp", None),
    },
    1: {
        "eight": (8, {"fsdp": 8}, "fsdp", None),
        "four": (4, {"fsdp": 2, "tensor": 2}, "tensor", "fsdp"),
        "two": (2, {"fsdp": 2}, "fsdp", None),
        "one": (1, {}, "fsdp", None),
    },
}


def keys():
    return jax.random.split(jax.random.key(3), 8)


def shardings(count, sizes, rows, columns):
    mesh = make_mesh(**{"data": 1, **sizes}, devices=jax.devices()[:count])
    every = tuple(name for name in ("data", "fsdp", "tensor") if mesh.shape[name] > 1)
    meaning = {"rows": rows, "columns": columns, "all": every or None, None: None}
    found = {n: NamedSharding(mesh, P(*map(meaning.get, axes))) for n, axes in AXES.items()}
    return found | {"keys": NamedSharding(mesh, P(rows)), "key": NamedSharding(mesh, P())}


def placed(layout):
    """The values, each device given its own part and no more."""
    words = {"keys": np.asarray(jax.random.key_data(keys()))}
    words["key"] = words["keys"][0]
    tree = {
        name: jax.make_array_from_callback(value.shape, layout[name], value.__getitem__)
        for name, value in (VALUES | words).items()
    }
    return tree | {name: jax.random.wrap_key_data(tree[name]) for name in words} | {"number": 3}


def shapes(layout):
    """A template that holds nothing."""
    found = {
        name: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=layout[name])
        for name, value in VALUES.items()
    }
    several = jax.eval_shape(keys)
    found["keys"] = jax.ShapeDtypeStruct((8,), several.dtype, sharding=layout["keys"])
    found["key"] = jax.ShapeDtypeStruct((), several.dtype, sharding=layout["key"])
    return found | {"number": 0}


def check(loaded, layout):
    words = np.asarray(jax.random.key_data(keys()))
    expected = VALUES | {"keys": words, "key": words[0]}
    assert loaded.pop("number") == 3
    assert loaded.keys() == expected.keys()
    for name, leaf in loaded.items():
        assert leaf.sharding == layout[name], (name, leaf.sharding, layout[name])
        assert leaf.committed, name
        array = jax.random.key_data(leaf) if name in ("keys", "key") else leaf
        for shard in array.addressable_shards:
            want = expected[name][shard.index]
            assert shard.data.dtype == want.dtype, name
            assert np.asarray(shard.data).tobytes() == want.tobytes(), (name, shard.index)


def main(port, number, count, directory):
    if int(count) > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(number))
    layouts = {name: shardings(*mesh) for name, mesh in MESHES[int(count)].items()}
    there = sorted(path for path in Path(directory).iterdir())
    meet("seen")
    for path in there:
        store = CheckpointStore(path)
        saved = store.latest()
        for layout in layouts.values():
            template = shapes(layout)
            loaded, meta = store.load(saved, {"own": template, "base": template})
            assert meta["note"] == "process 0"
            check(loaded["own"], layout)
            check(loaded["base"], layout)
        loaded, _ = store.load(saved, {"kernel": template["kernel"]}, part="own", without=rest())
        check_kernel(loaded["kernel"])
        store.close()
    for name, layout in layouts.items():
        tree = placed(layout)
        store = CheckpointStore(Path(directory) / f"{count}-{name}")
        meta = {"note": f"process {number}"}
        store.save({"own": tree, "base": tree}, iteration=1, meta=meta, shared=("base",))
        store.close()
        check_written_once(tree)
    print(f"{len(there)} loaded on {len(layouts)} meshes")
    if int(count) > 1:
        jax.distributed.shutdown()


def check_written_once(tree):
    """No number is copied by two processes, or twice by one."""
    mine = {
        name: sum(piece.size for piece in array.pieces.values())
        if isinstance(array, Spread)
        else array.size
        for name, array in to_host(tree, first=jax.process_index() == 0).items()
    }
    of_all = [json.loads(one) for one in exchange("copied", json.dumps(mine))]
    for name, value in VALUES.items():
        assert sum(one[name] for one in of_all) == value.size, name


def rest():
    return [
        f"own/{name}"
        for name in named_leaves({**VALUES, "keys": 0, "key": 0, "number": 0})
        if name != "kernel"
    ]


def check_kernel(leaf):
    for shard in leaf.addressable_shards:
        assert np.asarray(shard.data).tobytes() == VALUES["kernel"][shard.index].tobytes()


if __name__ == "__main__":
    main(*sys.argv[1:])
