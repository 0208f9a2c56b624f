"""PEFT's rules of which modules a config means, by hand and against PEFT itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.lora.peft.rules import Rules

PARTS = ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "experts.1.up_proj"]
NAMES = [
    "model.embed_tokens",
    *(f"model.layers.{layer}.{part}" for layer in range(3) for part in PARTS),
    *(f"layers.{layer}.self_attn.q_proj" for layer in range(2)),
    "encoder.h.2.q_proj",
    "q_proj",
    "lm_head",
]
NONLINEAR = frozenset({"model.embed_tokens", "lm_head"})

CASES = {
    "names": {"targets": ("q_proj",)},
    "ends": {"targets": ("self_attn.v_proj", "lm_head")},
    "no end of a part": {"targets": ("proj",)},
    "pattern": {"targets": r".*\.[qv]_proj"},
    "pattern, whole name": {"targets": "q_proj"},
    "all": {"targets": "all-linear"},
    "all, loud": {"targets": "All-Linear"},
    "exclude": {"targets": ("q_proj", "up_proj"), "exclude": ("1.self_attn.q_proj", "mlp.up_proj")},
    "exclude by pattern": {"targets": ("q_proj",), "exclude": r"model\.layers\.[01].*"},
    "layers": {"targets": ("q_proj", "up_proj"), "layers": (0, 2)},
    "no layers": {"targets": ("q_proj", "up_proj"), "layers": ()},
    "layers, experts": {"targets": ("up_proj",), "layers": (1,)},
    "layers of a whole name": {"targets": ("q_proj", "lm_head"), "layers": (1,)},
    "layers without a name before": {"targets": ("self_attn.q_proj",), "layers": (1,)},
    "layers, pattern": {"targets": ("q_proj",), "layers": (2,), "layers_pattern": ("h",)},
    "layers, patterns": {
        "targets": ("q_proj",), "layers": (1, 2), "layers_pattern": ("h", "layers"),
    },
    "layers, pattern that is none": {
        "targets": ("q_proj",), "layers": (2,), "layers_pattern": ("blocks",),
    },
    "ranks": {
        "targets": ("q_proj", "v_proj"),
        "rank_pattern": (("layers.0.self_attn.q_proj", 2), ("q_proj", 3), ("proj", 5)),
        "alpha_pattern": ((r"^model\.layers\.1.*", 1.0), ("v_proj", 4.0)),
    },
    "none": {"targets": None},
}  # fmt: skip


def test_by_hand():
    found = Rules(**CASES["layers of a whole name"]).select(NAMES, NONLINEAR)
    # The last two are targets as a whole, and so in whichever layer. "layers.1" is none by itself.
    assert list(found) == ["model.layers.1.self_attn.q_proj", "q_proj", "lm_head"]
    found = Rules(**CASES["ranks"]).select(NAMES, NONLINEAR)
    assert found["model.layers.0.self_attn.q_proj"] == (2, 8.0)
    assert found["model.layers.1.self_attn.q_proj"] == (3, 1.0)
    assert found["model.layers.1.self_attn.v_proj"] == (8, 1.0)
    assert found["model.layers.2.self_attn.v_proj"] == (8, 4.0)
    all_linear = Rules(targets="all-linear").select(NAMES, NONLINEAR)
    assert all_linear.keys() == set(NAMES) - NONLINEAR
    assert Rules(targets=None).select(NAMES, NONLINEAR) == {}


def theirs(rules):
    peft = pytest.importorskip("peft", reason="the peers extra installs peft")
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key

    def listed(value):
        return list(value) if isinstance(value, tuple) else value

    config = peft.LoraConfig(
        target_modules=listed(rules.targets),
        exclude_modules=listed(rules.exclude) or None,
        layers_to_transform=listed(rules.layers),
        layers_pattern=listed(rules.layers_pattern) or None,
        r=rules.rank,
        lora_alpha=rules.alpha,
        rank_pattern=dict(rules.rank_pattern),
        alpha_pattern=dict(rules.alpha_pattern),
    )

    def value(pattern, name, otherwise):
        return pattern.get(get_pattern_key(pattern.keys(), name), otherwise)

    return {
        name: (
            value(config.rank_pattern, name, config.r),
            value(config.alpha_pattern, name, config.lora_alpha),
        )
        for name in NAMES
        if (found := check_target_module_exists(config, name))
        and type(found).__name__ != "_ExcludedModule"
    }


@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith("all") and c != "none"])
def test_they_are_those_of_peft(case):
    rules = Rules(**CASES[case])
    assert rules.select(NAMES, NONLINEAR) == theirs(rules)


ENDS = st.sampled_from(
    ["q_proj", "self_attn.q_proj", "up_proj", "1.up_proj", "lm_head", "proj", "embed_tokens",
     "model.layers.2.mlp.up_proj", "layers.0.self_attn.q_proj"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    targets=st.lists(ENDS, min_size=1, max_size=3),
    exclude=st.lists(ENDS, max_size=2),
    layers=st.none() | st.lists(st.integers(0, 2), min_size=1, max_size=2),
    ranks=st.dictionaries(ENDS, st.integers(1, 9), max_size=3),
)
def test_any_rules_are_those_of_peft(targets, exclude, layers, ranks):
    rules = Rules(
        targets=tuple(targets),
        exclude=tuple(exclude),
        layers=None if layers is None else tuple(layers),
        rank_pattern=tuple(ranks.items()),
    )
    assert rules.select(NAMES, NONLINEAR) == theirs(rules)


def test_targets_that_are_nothing():
    assert Rules(targets=("q_proj", "c_attn", "proj")).idle(NAMES) == ["c_attn", "proj"]
    assert Rules(targets=r"q_.*").idle(NAMES) == []
    assert Rules(targets=r"x.*").idle(NAMES) == ["x.*"]
    assert Rules(targets="all-linear").idle([]) == []
    # What is left out all the same is not nothing.
    assert Rules(targets=("lm_head",), exclude=("lm_head",), layers=(9,)).idle(NAMES) == []
