"""What is read of a checkpoint: all of it, a part of it, or nothing and why."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import loading
from jaxtrain.checkpoint import store as store_module
from jaxtrain.checkpoint.arrays import write_arrays
from jaxtrain.checkpoint.loading import is_within, load_tree
from jaxtrain.checkpoint.manifest import write_manifest
from jaxtrain.errors import CheckpointError, CheckpointMismatchError


def test_a_tree_and_what_it_was_saved_with(checkpoint, example):
    tree, saved = load_tree(checkpoint, example)
    assert jax.tree.structure(tree) == jax.tree.structure(example)
    assert (saved.iteration, saved.meta["note"]) == (7, "hello")


def test_what_is_within_a_part():
    assert is_within("a", "a")
    assert is_within("a/b/c", "a/b")
    assert not is_within("ab", "a")
    assert not is_within("a", "a/b")


def test_a_leaf_in_two_files_is_refused(make_store):
    """Whoever can write the files can write the digests; which of the two is meant?"""
    store = make_store()
    tree = {"a": {"w": jnp.ones(2)}, "b": jnp.ones(1)}
    store.save(tree, iteration=1, meta={}, shared=("a",))
    path = store.latest().path
    shutil.rmtree(path / "arrays")
    write_arrays(path / "arrays", {"a/w": np.zeros(2, np.float32), "b": np.ones(1, np.float32)})
    write_manifest(path)
    with pytest.raises(CheckpointError, match="two files have a/w"):
        load_tree(path, tree)


def test_a_shared_part_gives_nothing_but_what_is_in_it(make_store):
    store = make_store()
    store.save({"a": {"w": jnp.ones(2)}, "b": jnp.ones(1)}, iteration=1, meta={}, shared=("a",))
    path = store.latest().path
    folder = store.latest().shared["a"]
    shutil.rmtree(folder / "arrays")
    write_arrays(folder / "arrays", {"b": np.zeros(1, np.float32)})
    write_manifest(folder)
    with pytest.raises(CheckpointMismatchError, match="missing in the checkpoint: a/w"):
        load_tree(path, {"a": {"w": jnp.ones(2)}, "b": jnp.ones(1)})


@pytest.mark.parametrize("number", [1, 3, 99])
def test_a_checkpoint_of_another_format_is_refused_and_left_where_it_is(
    make_store, values, monkeypatch, number
):
    monkeypatch.setattr(store_module, "FORMAT", number)
    store = make_store()
    store.save(values(1), iteration=1, meta={})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=f"format {number}; this version reads 2. Read it"):
        store.load(store.latest(), values(1))
    assert [path.name for path in store.directory.iterdir()] == ["00000001"]


def test_parts_of_parts_can_be_read_alone(make_store):
    state = {"params": {"w": jnp.arange(3.0), "b": jnp.ones(2)}, "rng": jax.random.key(4)}
    store = make_store()
    store.save({"train_state": state, "metrics": {"n": 3}}, iteration=1, meta={})
    saved = store.latest()
    zeros = jax.tree.map(jnp.zeros_like, state)
    params, _ = store.load(saved, zeros["params"], part="train_state/params")
    np.testing.assert_array_equal(params["w"], np.arange(3.0))
    bias, _ = store.load(saved, zeros["params"]["b"], part="train_state/params/b")
    np.testing.assert_array_equal(bias, np.ones(2))
    rng, _ = store.load(saved, zeros["rng"], part="train_state/rng")
    assert (jax.random.key_data(rng) == jax.random.key_data(state["rng"])).all()
    assert store.load(saved, 0, part="metrics/n")[0] == 3


def test_parameters_alone_go_into_another_model(make_store):
    """Of which all else is another: optimizer, model state, what stands beside them."""
    store = make_store()
    store.save({"train_state": {"params": {"w": jnp.ones(2)}}}, iteration=1, meta={})
    other = {"encoder": {"w": jnp.zeros(2)}, "head": jnp.zeros(3)}
    part = "train_state/params"
    other["encoder"], _ = store.load(store.latest(), other["encoder"], part=part)
    assert other["encoder"]["w"].tolist() == [1, 1]
    with pytest.raises(CheckpointMismatchError, match=r"missing .*: train_state/params/v"):
        store.load(store.latest(), {"w": jnp.zeros(2), "v": jnp.zeros(1)}, part=part)
    with pytest.raises(CheckpointMismatchError, match="not in this run: train_state/params/w"):
        store.load(store.latest(), {}, part=part)


def test_a_part_that_is_not_there_is_told_with_those_that_are(make_store):
    store = make_store()
    store.save({"a": {"params": 1, "paramsé": 2}, "b": 3}, iteration=1, meta={})
    with pytest.raises(CheckpointMismatchError) as error:
        store.load(store.latest(), 0, part="a/parms")
    assert str(error.value).endswith(
        "nothing in it is called 'a/parms'; did you mean 'a/params'? "
        "(there are: a/params, a/paramsé, b)"
    )


def test_only_the_arrays_of_the_part_are_read(make_store, monkeypatch):
    store = make_store()
    store.save({"a": np.ones(2), "b": {"c": np.ones(1)}}, iteration=1, meta={})
    asked = []
    read = loading.read_arrays
    monkeypatch.setattr(loading, "read_arrays", lambda p, n: asked.extend(n) or read(p, n))
    store.load(store.latest(), {"c": np.ones(1)}, part="b")
    assert asked == ["b/c"]
