"""What lies over two processes: its checksum, and its way to another place."""

from unittest import mock

import jax
import numpy as np

from jaxtrain.parallel import Layout, make_mesh, start
from jaxtrain.run import checksum


def main(port, number, count):
    environ = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": count,
        "JAX_PROCESS_ID": number,
    }
    start(environ=environ)
    layout = Layout(
        make_mesh(data=1, fsdp=-1), rules=(("a", ("fsdp", None)), ("b", (None, "fsdp")))
    )
    plain = {n: np.random.default_rng(i).normal(size=(10, 6)) for i, n in enumerate("abc")}
    plain = {name: leaf.astype(np.float32) for name, leaf in plain.items()}
    spread = layout.place(plain)
    assert not spread["a"].is_fully_addressable
    other = layout.place({"b": spread["a"]})["b"]
    for shard in other.addressable_shards:
        np.testing.assert_array_equal(shard.data, plain["a"][shard.index])
    assert other.addressable_shards[0].data.shape == (10, 3)
    # Four rows at a time: the last two are fewer.
    with mock.patch.object(checksum, "_BLOCK", 4 * 6 * 4):
        print(checksum.checksum(spread), checksum.checksum(plain))
    assert jax.process_count() == 2
