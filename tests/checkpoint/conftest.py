"""Checkpoints to read and to spoil."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore

# Programs of their own, with eight devices.
collect_ignore = ["eight_devices.py", "on_meshes.py", "two_processes.py"]


@pytest.fixture
def make_store(tmp_path):
    """make_store(**options): a store in a new directory; all are closed at the end."""
    stores = []

    def make(directory="checkpoints", **options):
        store = CheckpointStore(
            tmp_path / directory, **{"asynchronous": False, "monitor": "loss", **options}
        )
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


@pytest.fixture(scope="session")
def example():
    """A tree with something in every file of a checkpoint."""
    return {"params": {"w": jnp.arange(6.0).reshape(2, 3)}, "step": jnp.int32(7)}


@pytest.fixture(scope="session")
def saved_once(tmp_path_factory, example):
    store = CheckpointStore(tmp_path_factory.mktemp("saved"), asynchronous=False)
    store.save(example, iteration=7, meta={"note": "hello"})
    return store.latest().path


@pytest.fixture
def checkpoint(saved_once, tmp_path):
    """A checkpoint's directory, a copy that a test may spoil."""
    return shutil.copytree(saved_once, tmp_path / "store" / saved_once.name)


@pytest.fixture
def flip():
    """flip(path, bit): the file with one bit changed."""

    def change(path, bit):
        content = bytearray(path.read_bytes())
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(content))

    return change


@pytest.fixture
def values():
    """values(iteration): a tree that tells iterations apart."""
    return lambda iteration: {"w": np.full(3, iteration, np.float32)}
