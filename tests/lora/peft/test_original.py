"""What began with a part of the base, for the base as it was."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from tests.lora import small

CASES = {
    "plain": {"targets": ("q", "down")},
    "rslora": {"targets": ("q", "down"), "rslora": True, "alpha": 5.0},
    "unequal": small.UNEQUAL,
    "unequal, rslora": small.UNEQUAL | {"rslora": True},
    "dora": {"targets": ("q",), "dora": True},
}


@pytest.mark.parametrize("case", CASES)
def test_it_does_the_same(case):
    config = lora.LoRAConfig(**({"rank": 3, "init": "pissa"} | CASES[case] | {"init": "pissa"}))
    rest, initial = lora.init_pissa(jax.random.key(0), small.params(), config)
    adapter = dataclasses.replace(small.trained(initial), trainable=False, peft="{}")
    plain = lora.for_original(adapter, initial)
    assert (plain.config.init, plain.trainable, plain.peft) == ("zero_b", False, "{}")
    assert plain.targets == lora.find_targets(small.params(), plain.config)
    expected = lora.merge(rest, adapter)
    found = lora.merge(small.params(), plain)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5), found, expected
    )
    untouched = lora.for_original(initial, initial)
    same = lora.merge(small.params(), untouched)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5), same, small.params()
    )


def test_what_does_not_belong_together():
    config = lora.LoRAConfig(rank=2, targets=("q",), init="pissa")
    _, initial = lora.init_pissa(jax.random.key(0), small.params(), config)
    other = dataclasses.replace(config, rank=3)
    _, another = lora.init_pissa(jax.random.key(0), small.params(), other)
    with pytest.raises(ConfigError, match="initial: expected the adapter that init_pissa gave"):
        lora.for_original(initial, another)
    plain = small.adapter()
    with pytest.raises(ConfigError, match="did not begin with a part of the base"):
        lora.for_original(plain, plain)
