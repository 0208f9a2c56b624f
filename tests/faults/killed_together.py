"""One of several processes: they save together, and one is killed; or they restore what is left.

    python killed_together.py PORT NUMBER COUNT DIRECTORY save VICTIM TARGET NTH WHEN
    python killed_together.py PORT NUMBER COUNT DIRECTORY restore

The checkpoints of iterations 1 and 2 are there when the third is saved, in which process VICTIM
gets a SIGKILL; see `kill_at` of injections.py. Whoever restores says what was found, and saves on.
"""

import sys

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.parallel import make_mesh
from tests.faults.injections import kill_at


def main(port, number, count, directory, task, *details):
    if int(count) > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(number))
    store = CheckpointStore(directory, keep=1)
    if task == "restore":
        print(restore(store))
    else:
        save(store, int(number), *details)
    store.close()
    if int(count) > 1:
        jax.distributed.shutdown()


def save(store, number, victim, target, nth, when):
    for iteration in (1, 2, 3):
        if iteration == 3 and number == int(victim):
            kill_at(target, int(nth), when)
        # The third has another base, so that all that can be written is written.
        store.save(tree(iteration), iteration=iteration, meta={}, shared=("base",))
        store.wait()


def restore(store):
    """Which iteration is there; it must be whole, and there is room for the next."""
    saved = store.latest()
    loaded, _ = store.load(saved, tree(0))
    expected = values(saved.iteration)
    for name, value in expected.items():
        for shard in loaded[name].addressable_shards:
            np.testing.assert_array_equal(shard.data, value[shard.index])
    store.save(tree(9), iteration=9, meta={}, shared=("base",))
    store.wait()
    assert store.latest().iteration == 9
    assert sorted(path.name for path in store.directory.iterdir()) == ["00000009", "shared"]
    assert len(list((store.directory / "shared").iterdir())) == 1
    return saved.iteration


def values(iteration):
    rows = np.arange(48, dtype=np.float32).reshape(12, 4)
    return {"w": rows + iteration, "base": rows * (iteration // 3), "n": np.array(iteration)}


def tree(iteration):
    mesh = make_mesh(data=1, fsdp=jax.device_count())
    specs = {"w": P("fsdp"), "base": P(("fsdp",)), "n": P()}
    return {
        name: jax.make_array_from_callback(
            value.shape, NamedSharding(mesh, specs[name]), value.astype(np.float32).__getitem__
        )
        for name, value in values(iteration).items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
