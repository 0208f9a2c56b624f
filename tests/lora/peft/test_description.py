"""What is described follows from the description, in few words where that can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.lora.config import first_match
from jaxtrain.lora.peft.description import describe, exactly
from jaxtrain.lora.peft.rules import Rules

NAMES = [
    *(f"model.layers.{n}.{part}" for n in range(3) for part in ("attn.q", "attn.v", "mlp.up")),
    "model.embed",
    "up",
    "other.up",
]


def described(chosen, **options):
    return describe(chosen, lambda rules: rules.select(NAMES, ()) == chosen, **options)


def all_of(*ends, layers=(0, 1, 2), value=(8, 16.0)):
    return {
        name: value
        for name in NAMES
        if name.split(".")[-1] in ends and any(f".{n}." in name for n in layers)
    }


def test_by_the_end_of_the_name():
    assert described(all_of("q", "v")) == Rules(targets=("q", "v"), rank=8, alpha=16.0)


def test_by_layer():
    chosen = all_of("q", "v", layers=(0, 2))
    assert described(chosen) == Rules(targets=("q", "v"), layers=(0, 2), rank=8, alpha=16.0)


def test_by_whole_names():
    chosen = {"up": (8, 16.0)}
    assert described(chosen).targets == "up"
    listed = described({"model.layers.0.attn.q": (8, 16.0), "model.embed": (8, 16.0)}, listed=True)
    assert listed.targets == ("model.layers.0.attn.q", "model.embed")


def test_values_of_the_most_and_others():
    chosen = all_of("q") | all_of("v", value=(4, 16.0))
    chosen["model.layers.1.attn.q"] = (8, 2.0)
    chosen["model.embed"] = (8, 16.0)
    found = described(chosen)
    assert (found.rank, found.alpha) == (8, 16.0)
    assert found.rank_pattern == (("v", 4),)
    assert found.alpha_pattern == (("^model\\.layers\\.1\\.attn\\.q", 2.0),)


def test_a_whole_name_is_matched_by_no_longer_one():
    pairs = ((exactly("up"), 1),)
    assert [first_match(pairs, name, 0) for name in ("up", "other.up", "up.x")] == [1, 0, 0]


@settings(max_examples=200, deadline=None)
@given(
    chosen=st.dictionaries(
        st.sampled_from(NAMES),
        st.tuples(st.integers(1, 3), st.sampled_from([1.0, 0.5])),
        min_size=1,
    )
)
def test_any_choice_follows(chosen):
    assert described(chosen).select(NAMES, ()) == chosen


@pytest.mark.parametrize("name", ["Dense_0", "a+b", "x(y", "all-linear", r"a\d"])
def test_names_are_no_patterns(name):
    found = describe({name: (2, 1.0)}, lambda rules: False)
    assert found.select([name, "b", "aab", f"z.{name}"], ()) == {name: (2, 1.0)}
