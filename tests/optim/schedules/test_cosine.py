import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.optim import cosine, sgdr
from tests.optim.parity import (
    OF_RATE,
    RATE,
    STEPS,
    Plan,
    assert_their_rates,
    plans,
    rates,
    scheduled,
    their_rates,
)


@plans("cosine", "sgdr")
def test_they_are_pytorchs(plan):
    assert_their_rates(plan)


def test_down_to_nothing_it_is_pytorchs_by_the_peak():
    """optax's `1 + cos` has few digits left near 0; it stays, since runs were saved with it."""
    pytest.importorskip("torch")
    plan = Plan({"name": "cosine"}, lambda of, tx: of.CosineAnnealingLR(tx, STEPS))
    ours = rates(scheduled(plan.section, STEPS))
    assert np.abs(ours - their_rates(plan)).max() < OF_RATE * RATE


def test_cosine_begins_at_the_peak_and_ends_at_zero():
    schedule = cosine(0.2, 100)
    assert float(schedule(0)) == pytest.approx(0.2)
    assert float(schedule(50)) == pytest.approx(0.1)
    assert float(schedule(25)) == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)))
    assert float(schedule(100)) == pytest.approx(0.0, abs=1e-8)
    assert float(schedule(1000)) == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("final_scale", [0.0, 0.1, 0.3])
def test_with_a_warm_up_it_is_to_the_last_bit_what_it_was(final_scale):
    """When the warm-up was the cosine's own, of optax: runs that were saved go on."""
    before = optax.warmup_cosine_decay_schedule(0.0, 0.3, 20, 200, final_scale * 0.3)
    section = {"name": "cosine", "warmup_steps": 20, "final_scale": final_scale}
    now = scheduled(section, 200)
    steps = jnp.arange(210)
    found, expected = (jax.jit(jax.vmap(schedule))(steps) for schedule in (now, before))
    np.testing.assert_array_equal(found, expected)


def test_sgdr_grows_and_stays_at_the_end_of_the_last():
    found = rates(sgdr(1.0, 12, 2, first=2, growth=2), 20)  # of 4, and then of 8 steps
    assert found[[0, 4]] == pytest.approx([1.0, 1.0])
    assert found[[2, 8]] == pytest.approx([0.5, 0.5])
    assert found[12:] == pytest.approx([0.0] * 8, abs=1e-7)
