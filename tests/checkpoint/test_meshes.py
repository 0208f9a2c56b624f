"""Fault 24: what was saved on one mesh is loaded on any other, by any number of processes."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.checkpoint.arrays import read_arrays
from tests.checkpoint.on_meshes import MESHES, VALUES, keys
from tests.processes import run_together

SCRIPT = "tests/checkpoint/on_meshes.py"


def test_any_mesh_to_any_mesh_by_any_number_of_processes(tmp_path):
    """One device, then 4, 2 and 1 processes of 8 devices: each loads what all before have saved."""
    tree = {**VALUES, "keys": keys(), "key": keys()[0], "number": 3}
    store = CheckpointStore(tmp_path / "1-here", asynchronous=False)
    meta = {"note": "process 0"}
    store.save({"own": tree, "base": tree}, iteration=1, meta=meta, shared=("base",))
    for count, found in ((4, 1), (2, 3), (1, 5)):
        said = run_together(SCRIPT, count, tmp_path, devices=8 // count)
        ended = f"{found} loaded on {len(MESHES[count])} meshes"
        assert {text.splitlines()[-1] for text in said} == {ended}
    directories = sorted(tmp_path.iterdir())
    assert len(directories) == 9
    expected = {name: array.tobytes() for name, array in read_everything(directories[0]).items()}
    bases = set()
    for directory in directories:
        everything = read_everything(directory)
        assert {n: array.tobytes() for n, array in everything.items()} == expected, directory.name
        bases |= {*json.loads((directory / "00000001/meta.json").read_text())["shared"].values()}
        store = CheckpointStore(directory, asynchronous=False)
        template = jax.tree.map(jnp.zeros_like, {n: VALUES[n] for n in ("kernel", "half")})
        without = [f"own/{name}" for name in tree.keys() - template.keys()]
        loaded, _ = store.load(store.latest(), template, part="own", without=without)
        np.testing.assert_array_equal(loaded["kernel"], VALUES["kernel"])
    assert len(bases) == 1  # one base has one name, whoever has written it


def read_everything(directory):
    (base,) = (directory / "shared").iterdir()
    found = {f"own {n}": a for n, a in read_arrays(directory / "00000001/arrays").items()}
    return found | {f"base {n}": a for n, a in read_arrays(base / "arrays").items()}
