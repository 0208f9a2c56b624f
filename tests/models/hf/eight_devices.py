"""A model over eight devices: `python eight_devices.py DIRECTORY`."""

from __future__ import annotations

import functools
import sys

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrain.errors import ConfigError
from jaxtrain.models import hf


def main(directory: str) -> None:
    assert len(jax.devices()) == 8
    config, expected = hf.load(directory)
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2, 4), ("x", "y"), axis_types=(kind, kind))
        specs = jax.tree.map(lambda leaf: P(), expected)
        attention, mlp = specs["layers"]["attention"], specs["layers"]["mlp"]
        attention["q"]["kernel"] = P(None, "y", "x")
        attention["o"]["kernel"] = P("x", None, "y")  # layers, too
        attention["k"]["kernel"] = P(("x",), None, None)
        mlp["up"]["kernel"] = P(None, "x", "y")
        specs["embedding"]["embedding"] = P(None, ("x", "y"))
        specs["head"]["kernel"] = P("y", None)
        shardings = jax.tree.map(functools.partial(NamedSharding, mesh), specs)
        found, params = hf.load(directory, dtype="bfloat16", sharding=shardings)
        assert found == config
        jax.tree.map(compare, params, expected, shardings)
    with pytest.raises(ConfigError, match=r"sharding: embedding/embedding \[11, 8\]: "):
        hf.load(directory, sharding=NamedSharding(mesh, P("y")))
    print("all is where it should be")


def compare(leaf: jax.Array, expected: jax.Array, sharding: NamedSharding) -> None:
    assert leaf.sharding == sharding
    whole = np.asarray(expected.astype("bfloat16"))
    for shard in leaf.addressable_shards:
        np.testing.assert_array_equal(shard.data, whole[shard.index])


if __name__ == "__main__":
    main(sys.argv[1])
