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
from jaxtrain.errors import ConfigError
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.run import Experiment, make_config
from jaxtrain.sweeps import split
from jaxtrain.sweeps.population import Population, refuse_unfit, stopping_sections
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
from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.sweeps import describe_sweep
from jaxtrain.sweeps.population import Population, laid_out, mesh_of
from jaxtrain.sweeps.beginning import shapes_of

def run(name, **more):
    more = {"members": 4, "halving": {"first": 1, "factor": 2}, **more}
    return sweep(Path(sys.argv[1]) / name, "train.epochs=2", **more)

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
    shapes = laid_out(shapes_of(unit.group, count), mesh_of(count, "together"))
    assert {len(x.sharding.device_set) for x in jax.tree.leaves(shapes)} == {parts}
parted = run("parted", mesh={"data": 2})
for a, b in zip(parted.run(), whole):
    assert a.status == b.status, (a, b)
    for (_, x), (_, y) in zip(a.rungs, b.rungs):
        assert abs(x - y) < 2e-3 * y, (x, y)
assert "over 2 x 2 devices (members x data)" in describe_sweep(parted)

def work_of_a_device(data):
    store = CheckpointStore(Path(sys.argv[1]) / f"store{data}")
    more = {"numbers": range(2), "store": store, "monitor": made.monitor, "data": data}
    population = Population(unit.group, range(2), **more)
    population.trainer.note_dispatch()
    population.trainer.run(population.loader, max_epochs=1)
    kernel = population.trainer.state.train_state.state.params["hidden_0"]["kernel"]
    assert len(kernel.sharding.device_set) == 2 * data, kernel.sharding
    return population.trainer.noted_dispatch().cost_analysis()["flops"]

# A batch of each is split: the work of a device is about half.
whole, half = work_of_a_device(1), work_of_a_device(2)
assert 0.4 < half / whole < 0.7, (whole, half)
print(len(jax.devices()), [row.status for row in rows])
"""


@pytest.mark.slow
def test_members_lie_over_the_devices(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _DEVICES, str(tmp_path)],
        env={**os.environ, **compiling.devices(4)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 [")


@pytest.mark.parametrize(
    ("words", "data", "match"),
    [
        ((), 3, r"mesh.data 3: expected a number that divides the devices, of which there are 1"),
        (("data.batch_size=33",), 2, r"which there are 1"),
        (("mesh.data=1",), 1, r"^mesh: is for the parts of one run; .*mesh: \{data: N\}"),
    ],
)
def test_devices_that_do_not_fit(words, data, match):
    (group,) = split([make_config(tree(*words))])
    with pytest.raises(ConfigError, match=match):
        refuse_unfit(group, "val/loss", data)


def test_batches_that_can_not_be_split(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [None] * 4)
    (group,) = split([make_config(tree("data.batch_size=33"))])
    said = r"data.batch_size / train.accumulate 33: expected a multiple of the sweep's mesh.data 2"
    with pytest.raises(ConfigError, match=said):
        refuse_unfit(group, "val/loss", 2)
    (group,) = split([make_config(tree("data.eval_batch_size=7"))])
    with pytest.raises(ConfigError, match=r"data.eval_batch_size 7"):
        refuse_unfit(group, "val/loss", 2)


@pytest.mark.parametrize("monitor", ["val/acuracy", "loss", "test/loss", "val/lr"])
def test_a_monitor_that_nobody_has_is_told_before_anything_is_trained(monitor):
    (group,) = split([make_config(tree())])
    with pytest.raises(ConfigError, match=rf"monitor: no metric of a member is called '{monitor}'"):
        refuse_unfit(group, monitor)
    words = ("data.validation_fraction=0", "checkpoint.monitor=train/loss")
    (group,) = split([make_config(tree(*words))])
    with pytest.raises(ConfigError, match=r"'val/loss'"):
        refuse_unfit(group, "val/loss")
    refuse_unfit(group, "train/loss")


def test_hooks_are_known_by_what_they_are_not_by_what_they_are_called():
    (group,) = split([make_config(tree("hooks.slower={name: reduce_on_plateau}"))])
    with pytest.raises(ConfigError, match=r"hooks\.slower: reduce_on_plateau changes what"):
        refuse_unfit(group, "val/loss")
    patient = "hooks.patience={name: early_stopping, patience: 1}"
    (group,) = split([make_config(tree(patient))])
    refuse_unfit(group, "val/loss")
    assert len(stopping_sections(group.configs[0])) == 1
    (group,) = split([make_config(tree(patient, "hooks.other={name: early_stopping}"))])
    with pytest.raises(ConfigError, match=r"several are early_stopping"):
        refuse_unfit(group, "val/loss")
    (group,) = split([make_config(tree("hooks.p={name: early_stopping, monitor: val/f1}"))])
    with pytest.raises(ConfigError, match=r"early_stopping.monitor: .*'val/f1'"):
        refuse_unfit(group, "val/loss")
