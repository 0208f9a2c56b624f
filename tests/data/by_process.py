"""What each process reads of every batch, for `test_on_mesh.py`.

Prints, as JSON, which rows it has asked its data for, and digests of all batches: of its own rows
in the order of the whole.
"""

import hashlib
import json

import jax
import numpy as np

from jaxtrain.data import ArrayLoader, GrainLoader, on_mesh
from jaxtrain.engine import Engine
from jaxtrain.parallel import make_mesh

ROWS, BATCH, EPOCHS = 50, 16, 2


class Noted:
    """Records that know which of them were asked for."""

    def __init__(self):
        self.asked = set()

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        self.asked.add(int(index))
        return {"inputs": np.full(3, index, np.float32), "labels": np.int32(index % 5)}

    def fingerprint(self):
        return "noted"


def arrays():
    return {
        "inputs": np.repeat(np.arange(ROWS, dtype=np.float32)[:, None], 3, axis=1),
        "labels": np.arange(ROWS, dtype=np.int32) % 5,
    }


def digests(loader, mesh):
    """By number of the batch and first row, what this process has of it."""
    found = {}
    placed = on_mesh(loader, mesh)
    cursor, batches = placed.start(), placed.batches(placed.start())
    for number in range(EPOCHS * placed.steps_per_epoch):
        batch, cursor = next(batches)
        for name, array in sorted(batch.items()):
            assert array.shape[0] == BATCH
            for shard in array.addressable_shards:
                first = shard.index[0].start or 0
                key = f"{number} {name} {first}"
                found[key] = hashlib.sha256(np.asarray(shard.data).tobytes()).hexdigest()[:16]
    batches.close()
    return found, cursor


def trained(loader, mesh):
    """What an engine has added up, which sees every row of two epochs once."""

    def step(state, batch):
        rows = batch["inputs"][:, 0] * batch["row_mask"]
        return {"sum": state["sum"] + rows.sum(), "steps": state["steps"] + 1}, {"loss": rows.sum()}

    state = {"sum": np.float32(0), "steps": np.int32(0)}
    state = jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    found = {}
    for form in ("single", "fused"):
        run = Engine(step, state, form=form).run(on_mesh(loader, mesh), max_epochs=EPOCHS)
        found[form] = [float(run.train_state["sum"]), int(run.train_state["steps"])]
    return found


def main(port, number, count):
    if int(count) > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(number))
    mesh = make_mesh()
    noted = Noted()
    grain = GrainLoader(noted, batch_size=BATCH, seed=3)
    noted.asked.clear()
    by_grain, cursor = digests(grain, mesh)
    asked = sorted(noted.asked)
    by_arrays, place = digests(ArrayLoader(arrays(), batch_size=BATCH, seed=3), mesh)
    said = {
        "arrays": by_arrays,
        "grain": by_grain,
        "asked": asked,
        "cursors": [cursor, place],
        "trained": trained(ArrayLoader(arrays(), batch_size=BATCH, seed=3), mesh),
    }
    print(json.dumps(said), flush=True)
    if int(count) > 1:
        jax.distributed.shutdown()
