"""Memory counted from shapes: each part by hand, and the sum beside XLA's own."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxtrain.models import Model
from jaxtrain.run import Experiment, RunData, Task
from jaxtrain.run.needs import Needs

PARAMS = (64 + 1) * 8 + (8 + 1) * 10


@pytest.fixture
def needs(digits):
    """needs("train.accumulate=2"): of the digits' MLP with 8 hidden units."""
    return lambda *overrides: Needs.of(Task.of(RunData.of(digits(*overrides))))


def test_what_stays_between_the_steps(needs):
    found = needs()
    assert found.params == 4 * PARAMS
    assert found.dtypes == "float32"
    assert 0 <= found.optimizer - 2 * 4 * PARAMS < 64  # two moments, and a few counters
    assert found.rest == 4 + 8  # the number of the step and a key
    assert found.gradients == found.params
    assert found.state == found.params + found.optimizer + found.rest
    parts = found.by_part()
    assert sum(parts.values()) == found.total
    first, *_, last = parts
    assert first == "parameters (float32)"
    assert last == "activations of 32 rows, kept for the backward pass"


def test_batch_statistics_are_of_the_rest(needs):
    assert needs("model.batch_norm=true").rest == 12 + 2 * 4 * 8


def test_micro_batches_keep_less_and_their_gradients_are_summed(needs):
    whole, quarters = needs("data.batch_size=64"), needs("data.batch_size=64", "train.accumulate=4")
    assert (whole.rows, quarters.rows) == (64, 16)
    assert quarters.gradients == 2 * whole.gradients
    assert 3.9 < whole.activations / quarters.activations <= 4.0
    (last,) = [part for part in quarters.by_part() if part.startswith("activations")]
    assert last.startswith("activations of 16 rows")


def test_a_policy_makes_copies_and_narrows_what_is_kept(needs):
    wide, narrow = needs("model.dropout=0"), needs("model.dropout=0", "precision=bfloat16")
    assert (narrow.params, narrow.gradients) == (wide.params, wide.gradients)
    assert 0 < narrow.copies < wide.params / 2
    assert narrow.activations < wide.activations
    assert "made of parameters alone, as their copy in bfloat16" in narrow.by_part()


def test_narrow_gradients_are_summed_in_float32(digits):
    data = RunData.of(digits("train.accumulate=2", "data.batch_size=4"))
    model = Model(
        init=lambda rng, batch: {"params": {"w": jax.numpy.zeros((64, 10), "bfloat16")}},
        apply=lambda variables, batch, *, train, rngs=None: (
            batch["inputs"].astype("bfloat16") @ variables["params"]["w"],
            {},
        ),
    )
    found = Needs.of(Task.of(data, model=model))
    assert (found.params, found.dtypes) == (2 * 640, "bfloat16")
    assert found.gradients == 2 * 640 + 4 * 640


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.hidden=[64]", "data.batch_size=1024"],
        ["data.flat=false", "data.batch_size=512", "model.name=cnn", "model.channels=[8]"],
    ],
    ids=["mlp", "cnn"],
)
def test_xla_takes_about_as_much(digits, overrides):
    config = digits(*overrides, "train.form=single")
    task = Task.of(RunData.of(config))
    experiment = Experiment(task, state=task.abstract_state())
    xla = experiment.trainer.compiled(experiment.loader).memory_analysis()
    counted = Needs.of(task)
    passing = counted.gradients + counted.copies + counted.activations
    assert 0.7 * passing < xla.temp_size_in_bytes < 1.6 * passing
    batch = sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in task.data.example().values())
    assert xla.argument_size_in_bytes == pytest.approx(counted.state + batch, rel=0.02)
