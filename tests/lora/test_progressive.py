from __future__ import annotations

import jax
import numpy as np

from jaxtrain import lora
from jaxtrain.lora import LoRAConfig
from tests.lora.small import adapter, batch, logits, params, same_bits

INPUTS = batch()["inputs"]


def test_adding_changes_nothing_yet():
    base = params()
    same, fresh = lora.add_lora(base, LoRAConfig(rank=4), rng=jax.random.key(0))
    assert same is base
    assert same_bits(fresh, lora.init(jax.random.key(0), base, LoRAConfig(rank=4)))
    rest, first = lora.add_lora(base, LoRAConfig(init="pissa", rank=4), rng=jax.random.key(0))
    assert not same_bits(rest, base)
    merged = lora.merge_lora(rest, first)
    np.testing.assert_allclose(logits(merged, INPUTS), logits(base, INPUTS), rtol=1e-3, atol=1e-3)


def test_a_phase_begins_where_the_ones_before_it_ended():
    base, first, second = params(), adapter(1), adapter(2, rank=3, dora=True)
    new, fresh = lora.progressive_lora_step(
        base, [first, second], LoRAConfig(rank=2), rng=jax.random.key(0)
    )
    expected = lora.merge(lora.merge(base, first), second)
    assert same_bits(new, expected)
    assert same_bits(logits(lora.apply(new, fresh), INPUTS), logits(expected, INPUTS))
    other, _ = lora.progressive_lora_step(
        base, [second, first], LoRAConfig(rank=2), rng=jax.random.key(0)
    )
    assert not same_bits(other, expected)  # with DoRA the order counts


def test_the_first_phase_has_nothing_before_it():
    base = params()
    same, _ = lora.progressive_lora_step(base, [], LoRAConfig(), rng=jax.random.key(0))
    assert same is base
