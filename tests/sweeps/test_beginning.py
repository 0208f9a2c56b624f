"""What members begin with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.config import merge
from jaxtrain.engine.device.members import InCommon
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.run import Experiment, RunData, Task, make_config
from jaxtrain.sweeps import memory, split
from jaxtrain.sweeps.beginning import initial_members, shapes_of
from jaxtrain.sweeps.population import Population
from jaxtrain.sweeps.tree import nested
from tests.sweeps.small import sweep, tree


def _equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def test_a_member_begins_as_its_run_does():
    configs = [make_config(tree(f"seed={seed}")) for seed in (4, 5)]
    (group,) = split(configs)
    members = initial_members(group, (1, 0))
    for m, config in enumerate(reversed(configs)):
        alone = Task.of(RunData.of(config)).initial_state()
        _equal(jax.tree.map(lambda leaf, m=m: leaf[m], members.state), alone)
    assert members.trains.tolist() == [True, True]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A run to put adapters on."""
    path = tmp_path_factory.mktemp("base") / "run"
    words = ("train.epochs=1", "tracking.mode=disabled", "hooks.console=null")
    Experiment.of(make_config(tree(*words)), path).train()
    return path


def _with_lora(base, *words):
    lora = "lora={rank: 2, targets: all-linear}"
    return (f"start.path={base}", lora, "train.epochs=2", "hooks.console=null", *words)


VALUES = [
    {"seed": 1, "optimizer.learning_rate": 0.01, "lora.alpha": 2.0},
    {"seed": 2, "optimizer.learning_rate": 0.03, "lora.alpha": 3.0},
    {"seed": 3, "optimizer.learning_rate": 0.02, "lora.alpha": 8.0},
]


@pytest.mark.parametrize("order", ["in_turn", "together"])
def test_a_base_is_held_once_and_a_member_has_the_bits_of_its_run(base, tmp_path, order):
    words = _with_lora(base, "tracking.mode=disabled")
    configs = [make_config(merge(tree(*words), nested(one))) for one in VALUES]
    (group,) = split(configs)
    assert group.has_common_base
    store = CheckpointStore(tmp_path / "c")
    monitor = Monitor("val/loss")
    made = Population(group, range(3), numbers=range(3), store=store, monitor=monitor, order=order)
    made.trainer.run(made.loader, max_epochs=2)
    members = made.trainer.state.train_state
    assert isinstance(members.frozen, InCommon)
    for m, config in enumerate(configs):
        alone = Experiment.of(config, tmp_path / str(m))
        alone.train()
        state = alone.trainer.state.train_state
        _equal(members.frozen.tree, state.frozen)
        mine = jax.tree.map(lambda leaf, m=m: leaf[m], members.state)
        if order == "in_turn":
            _equal(members.whole(mine), state)
        else:
            for x, y in zip(*map(jax.tree.leaves, (mine.params, state.params)), strict=True):
                np.testing.assert_allclose(x, y, rtol=5e-3, atol=1e-5)
    # On disk there is one of it as well.
    store.wait()
    names = {path.name for path in (tmp_path / "c" / "shared").iterdir()}
    assert len(names) == 1
    saved, _ = store.load(store.latest(), shapes_of(group, 3), part="train_state")
    _equal(saved, members)


def test_a_base_in_files_is_read_once(base, monkeypatch):
    from jaxtrain.run import parameters

    read = []
    load = parameters.Trained.load
    monkeypatch.setattr(
        parameters.Trained, "load", lambda path, **more: read.append(path) or load(path, **more)
    )
    configs = [make_config(merge(tree(*_with_lora(base)), nested(one))) for one in VALUES]
    (group,) = split(configs)
    read.clear()
    members = initial_members(group, range(3))
    assert len(read) == 1
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), shapes_of(group, 3))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), members) == shapes


def test_the_room_that_a_base_takes_is_left_for_it(base, monkeypatch):
    configs = [make_config(merge(tree(*_with_lora(base)), nested(one))) for one in VALUES]
    (group,) = split(configs)
    each, common = memory.bytes_of_member(group), memory.bytes_in_common(group)
    assert common == 4 * (64 * 8 + 8 + 8 * 10 + 10)
    assert each < 16 * common  # four states of an adapter, with AdamW's, and no base
    monkeypatch.setattr(memory, "room", lambda: common + 2 * each)
    assert memory.members_at_once(group) == 2
    monkeypatch.setattr(memory, "room", lambda: 2 * each)
    assert memory.members_at_once(group) == 1


@pytest.mark.parametrize(
    "words", [("lora.init=pissa",), ("start=null",)], ids=["pissa", "drawn from the seed"]
)
def test_bases_that_differ_are_each_members_own(base, words):
    tree_ = tree(*_with_lora(base, "tracking.mode=disabled", *words))
    configs = [make_config(merge(tree_, nested(one))) for one in VALUES]
    (group,) = split(configs)
    assert not group.has_common_base
    members = initial_members(group, range(3))
    for m, config in enumerate(configs):
        alone = Task.of(RunData.of(config)).initial_state()
        one = jax.tree.map(lambda leaf, m=m: leaf[m], members)
        _equal(one.whole(one.state), alone)


def test_a_search_over_adapters_halves_exports_and_goes_on(base, tmp_path):
    space = {
        "optimizer.learning_rate": {"log_uniform": [1e-3, 1e-1]},
        "lora.alpha": {"uniform": [1, 8]},
    }
    words = _with_lora(base)
    found = sweep(tmp_path / "s", *words, space=space, halving={"first": 1, "factor": 2})
    rows = found.run()
    assert sorted(row.epochs for row in rows) == [1, 1, 2, 2]
    from jaxtrain.sweeps import describe_sweep, export_member

    best = min(rows, key=lambda row: row.value)
    path = export_member(found, best.member, tmp_path / "member")
    alone = Experiment.of(found.config_of(found.asked()[0][best.member]), tmp_path / "alone")
    alone.train()
    exported = Experiment(alone.task, path)
    assert (path / "metrics.json").exists()
    saved, _ = exported.store.load(
        exported.store.best(), alone.trainer.state.train_state, part="train_state"
    )
    theirs, _ = alone.store.load(
        alone.store.best(), alone.trainer.state.train_state, part="train_state"
    )
    _equal(saved, theirs)
    assert "that all have in common" in describe_sweep(sweep(tmp_path / "t", *words, space=space))
