"""Which members are one program."""

from __future__ import annotations

import math

import jax
import numpy as np
import optax
import pytest

from jaxtrain.config import merge
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.optim import OPTIMIZERS, SCHEDULES
from jaxtrain.run import Experiment, make_config
from jaxtrain.sweeps import split
from jaxtrain.sweeps.tree import nested
from tests.sweeps.small import sweep, tree


def groups(*values, words=()):
    return split([make_config(merge(tree(*words), nested(one))) for one in values])


def parts(*values, words=()):
    return [group.members for group in groups(*values, words=words)]


def test_numbers_go_together_and_shapes_do_not():
    found = groups(
        {"optimizer.learning_rate": 0.1, "seed": 1},
        {"optimizer.learning_rate": 0.2, "model.hidden": [9]},
        {"loss.label_smoothing": 0.3, "optimizer.b1": 0.8, "model.dropout": 0.3},
        {"model.hidden": [9]},
    )
    assert [group.members for group in found] == [(0, 2), (1, 3)]
    assert found[0].varied == (
        "loss.label_smoothing",
        "model.dropout",
        "optimizer.b1",
        "optimizer.learning_rate",
    )
    assert found[1].varied == ("optimizer.learning_rate",)
    assert found[0].split_by["model.hidden"] == (8,)
    assert [config.seed for config in found[0].configs] == [1, 0]


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer.name": "lion"},
        {"data.batch_size": 128},
        {"train.epochs": 5},
        {"train.accumulate": 2},
        {"model.batch_norm": True},
        {"train.ema": 0.9},
        {"precision": "bfloat16"},
    ],
)
def test_what_parts_members(other):
    assert parts({}, other, {"optimizer.learning_rate": 0.1}) == [(0, 2), (1,)]


def test_a_branch_parts_members():
    """No dropout is no dropout in the program, and a schedule's length is no number in it."""
    found = groups(*({"model.dropout": rate} for rate in (0.0, 0.1, 0.2, 0.0)))
    assert [group.members for group in found] == [(0, 3), (1, 2)]
    assert (found[0].varied, found[1].varied) == ((), ("model.dropout",))
    assert parts(*({"schedule.warmup_steps": steps} for steps in (3, 4, 3))) == [(0, 2), (1,)]


def test_code_that_wants_a_plain_number_parts_by_it():
    @OPTIMIZERS.register("logarithmic")
    def logarithmic(learning_rate, *, sharpness: float = 1.0):
        return optax.chain(optax.sgd(learning_rate), optax.scale(math.log(sharpness)))

    try:
        words = ("optimizer={name: logarithmic, learning_rate: 0.1}",)
        values = ({"optimizer.sharpness": sharpness} for sharpness in (2.0, 3.0, 2.0))
        assert parts(*values, words=words) == [(0, 2), (1,)]
    finally:
        del OPTIMIZERS._factories["logarithmic"]


def test_code_that_can_not_do_with_it_parts_by_it():
    @OPTIMIZERS.register("typed")
    def typed(learning_rate, *, sharpness: float = 1.0, momentum: float = 0.5):
        assert isinstance(sharpness, float), f"no number: {sharpness!r}"
        return optax.sgd(learning_rate, momentum=momentum * sharpness)

    try:
        words = ("optimizer={name: typed, learning_rate: 0.1}",)
        values = [
            {"optimizer.sharpness": 0.5, "optimizer.momentum": 0.5},
            {"optimizer.sharpness": 0.5, "optimizer.momentum": 0.6},
            {"optimizer.sharpness": 0.6, "optimizer.momentum": 0.5},
        ]
        found = groups(*values, words=words)
        assert [group.members for group in found] == [(0, 1), (2,)]
        assert found[0].varied == ("optimizer.momentum",)
    finally:
        del OPTIMIZERS._factories["typed"]


def _varied(registry, name):
    """Every option of a component that is a float and not null, a little larger each time."""
    section = registry.schema(name, make_config(tree()).optimizer.__class__.__mro__[1])
    return {
        option: section.model_fields[option].default
        for option in registry.options(name)
        if isinstance(section.model_fields[option].default, float)
    }


# Their code takes an option for a plain number: who differs there goes apart.
_PLAIN = {"muon", "nadam", "nadamw", "prodigy", "radam"}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.names()))
def test_every_number_of_every_optimizer_goes_together(name):
    options = {
        option: (default, default * 0.5)
        for option, default in _varied(OPTIMIZERS, name).items()
        if default and name not in _PLAIN
    }
    rates = (0.01, 0.02)
    members = [
        {"optimizer.name": name, "optimizer.learning_rate": rates[n]}
        | {f"optimizer.{option}": values[n] for option, values in options.items()}
        for n in range(2)
    ]
    plain = ("schedule={name: constant}", "optimizer=null")
    found = groups(*members, words=plain)
    assert [group.members for group in found] == [(0, 1)]
    assert set(found[0].varied) == {"optimizer.learning_rate", *(f"optimizer.{o}" for o in options)}


def test_what_is_wrong_with_the_data_is_said():
    with pytest.raises((ConfigError, DataError)):
        groups({"model.hidden": [8], "loss.name": "mean_squared_error"}, {})


def test_no_array_is_made(monkeypatch):
    monkeypatch.setattr(jax.random, "normal", lambda *_, **__: pytest.fail("an array was made"))
    assert SCHEDULES.names()
    assert parts({"seed": 1}, {"seed": 2}) == [(0, 1)]


def test_what_a_program_takes_from_its_data_parts_members():
    seeds = [{"seed": 0}, {"seed": 1}, {"seed": 1, "optimizer.learning_rate": 0.1}]
    assert parts(*seeds) == [(0, 1, 2)]
    # Each is weighted by the rows that it is trained on.
    assert parts(*seeds, words=("loss.class_weights=balanced",)) == [(0,), (1, 2)]
    (first, _) = groups(*seeds, words=("loss.class_weights=balanced",))
    assert first.split_by["data"] == "of the form of config 0's"


def test_targets_of_another_unit_and_rows_of_another_width_part_members(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["x,kind,y"]
    for n in range(60):
        kind = "rare" if n < 3 else "usual"
        lines.append(f"{rng.normal()},{kind},{rng.normal() * (100 if n % 7 == 0 else 1)}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    data = "{name: csv, train: t.csv, target: y, task: regression, batch_size: 16}"
    words = (
        f"data={data}", f"data.root={tmp_path}", "loss={name: mean_squared_error}",
        "model={name: mlp, hidden: [4]}", "data.validation_fraction=0.2", "train.epochs=2",
        "hooks.console=null", "metrics=null",
    )  # fmt: skip
    seeds = [{"seed": s, "optimizer.learning_rate": 0.01 * (1 + s % 2)} for s in range(3)]
    assert parts(*seeds, words=words) == [(0,), (1,), (2,)]
    space = {"seed": [0, 1, 2]}
    made = sweep(tmp_path / "s", *words, space=space, search="grid", members=None)
    rows = made.run()
    for row in rows:
        config = made.config_of(made.asked()[0][row.member])
        alone = Experiment.of(config, tmp_path / str(row.member)).train()
        assert row.value == alone["best_val_loss"]
        assert row.figures["val/rmse"] == alone["best_val_rmse"]
