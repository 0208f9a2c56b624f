"""Numbers in functions that JAX traces once."""

from __future__ import annotations

import jax
import pytest

from jaxtrain.config import merge
from jaxtrain.run import Experiment, make_config
from jaxtrain.step import LOSSES
from jaxtrain.sweeps import split
from jaxtrain.sweeps.tree import nested
from tests.sweeps import kept_traces
from tests.sweeps.small import sweep, tree


@pytest.fixture(autouse=True)
def _losses_of_a_plugin(monkeypatch):
    monkeypatch.setattr(LOSSES, "_factories", dict(LOSSES._factories))
    for loss in kept_traces.LOSSES:
        LOSSES.register(loss.__name__)(loss)


def parts(*values, words=()):
    return [g.members for g in split([make_config(merge(tree(*words), nested(v))) for v in values])]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("fresh_temper", [(0, 1, 2)]),
        ("jitted_temper", [(0,), (1,), (2,)]),
        ("static_temper", [(0,), (1,), (2,)]),
        ("remat_temper", [(0,), (1,), (2,)]),
    ],
)
def test_a_number_in_a_function_that_is_traced_once_parts_the_members(loss, expected, tmp_path):
    """JAX would keep the number of the first trace, and all members would have it."""
    words = (
        f"loss={{name: {loss}}}",
        "metrics=[loss, accuracy]",
        "train.epochs=1",
        "hooks.console=null",
    )
    values = [{"loss.temper": 0.5}, {"loss.temper": 1.0}, {"loss.temper": 4.0}]
    assert parts(*values, words=words) == expected
    space = {"loss.temper": [0.5, 1.0, 4.0]}
    rows = sweep(tmp_path / "s", *words, space=space, search="grid", members=None).run()
    for m, value in enumerate(values):
        alone = Experiment.of(
            make_config(merge(tree(*words), nested(value))), tmp_path / f"{m}"
        ).train()
        assert rows[m].value == alone["best_val_loss"]


def test_what_is_ours_is_not_traced_for_it(monkeypatch):
    """It would be compiled anew, with all that the process has compiled before."""
    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(1))
    values = [{"model.dropout": 0.1}, {"model.dropout": 0.2}]
    assert parts(*values) == [(0, 1)]
    assert cleared == []
    words = ("loss={name: fresh_temper}", "metrics=[loss]")
    assert parts(*values, words=words) == [(0, 1)]
    assert cleared
