"""The members of a group, as one program, beside the same as runs of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.config import merge
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.run import Experiment, make_config
from jaxtrain.sweeps import split
from jaxtrain.sweeps.population import Population
from jaxtrain.sweeps.tree import nested
from tests import compiling
from tests.sweeps.small import tree


def _equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    "words",
    [
        ("optimizer.name=adamw",),
        ("optimizer={name: sgd, momentum: 0.9, nesterov: true, learning_rate: 0.05}",),
        ("optimizer={name: lion}",),
        ("schedule={name: one_cycle}", "optimizer.clip_norm=0.5"),
    ],
)
def test_a_member_has_the_bits_of_its_run(words, tmp_path):
    values = [
        {"seed": 1, "optimizer.learning_rate": 0.01, "model.dropout": 0.2},
        {"seed": 2, "optimizer.learning_rate": 0.03, "loss.label_smoothing": 0.1},
        {"seed": 2, "optimizer.weight_decay": 0.03, "model.dropout": 0.4},
    ]
    words = (*words, "train.epochs=2", "tracking.mode=disabled", "hooks.console=null")
    configs = [make_config(merge(tree(*words), nested(one))) for one in values]
    (group,) = split(configs)
    made = Population(
        group,
        range(3),
        numbers=range(3),
        store=CheckpointStore(tmp_path / "c"),
        monitor=Monitor("val/loss"),
    )
    made.trainer.run(made.loader, max_epochs=2)
    members = made.trainer.state.train_state
    for m, config in enumerate(configs):
        alone = Experiment.of(config, tmp_path / str(m))
        alone.train()
        mine = jax.tree.map(lambda leaf, m=m: leaf[m], members.state)
        _equal(mine, alone.trainer.state.train_state)
        for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            assert made.trainer.state.metrics[name][m] == alone.trainer.state.metrics[name]
        best = jax.tree.map(lambda leaf, m=m: leaf[m], members.best)
        saved, _ = alone.store.load(alone.store.best(), best, part="train_state")
        _equal(best, saved)


def test_where_the_compiler_sums_otherwise_it_is_the_last_digit(tmp_path):
    """With a moving average a sum and a product are put together in other places than alone."""
    words = ("optimizer={name: lion}", "train.ema=0.9", "train.epochs=2", "tracking.mode=disabled")
    values = [{"model.dropout": 0.2}, {"optimizer.weight_decay": 0.03, "model.dropout": 0.4}]
    configs = [make_config(merge(tree(*words), nested(one))) for one in values]
    (group,) = split(configs)
    store = CheckpointStore(tmp_path / "c")
    made = Population(group, range(2), numbers=range(2), store=store, monitor=Monitor("val/loss"))
    made.trainer.run(made.loader, max_epochs=2)
    alone = Experiment.of(configs[1], tmp_path / "alone")
    alone.train()
    mine = jax.tree.map(lambda leaf: leaf[1], made.trainer.state.train_state.state)
    theirs = alone.trainer.state.train_state
    for x, y in zip(jax.tree.leaves(mine.ema), jax.tree.leaves(theirs.ema), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-6, atol=1e-7)


_DEVICES = """
import sys
from pathlib import Path
import jax
from tests.sweeps.small import sweep
from jaxtrain.sweeps import split
from jaxtrain.sweeps.population import laid_out
from jaxtrain.sweeps.beginning import shapes_of

def run(name, **more):
    return sweep(Path(sys.argv[1]) / name, members=4, halving={"first": 1, "factor": 2}, **more)

made = run("spread")
rows = made.run()
whole = run("whole", order="in_turn").run()
assert [row.rungs for row in rows] != []
for a, b in zip(rows, whole):
    assert a.status == b.status, (a, b)
    for (_, x), (_, y) in zip(a.rungs, b.rungs):
        assert abs(x - y) < 2e-3 * y, (x, y)
(unit,) = made.units_of(made.batch_of(0, made.asked()[0]))
for count, parts in ((8, 4), (4, 4), (6, 3), (5, 1), (2, 2)):
    shapes = laid_out(shapes_of(unit.group, count), "together")
    assert {len(x.sharding.device_set) for x in jax.tree.leaves(shapes)} == {parts}
print(len(jax.devices()), [row.status for row in rows])
"""


def test_members_lie_over_the_devices(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _DEVICES, str(tmp_path)],
        env={**os.environ, **compiling.devices(4)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 [")
