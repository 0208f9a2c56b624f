from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig


def test_a_config_is_a_value():
    one = LoRAConfig(targets=["q", "v"], rank_pattern={"q": 4, "v": 2}, layers=range(2))
    same = LoRAConfig(
        targets=("q", "v"), rank_pattern=(("q", 4), ("v", 2)), layers=(0, 1), alpha=16
    )
    assert one == same
    assert hash(one) == hash(same)
    assert one.rank_pattern == (("q", 4), ("v", 2))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rank", 0),
        ("rank", 1.5),
        ("rank", True),
        ("alpha", 0),
        ("alpha", "16"),
        ("alpha", float("nan")),
        ("targets", ()),
        ("targets", "("),
        ("targets", ("q", 3)),
        ("exclude", "["),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("rslora", 1),
        ("dora", "yes"),
        ("init", "olora"),
        ("rank_pattern", {"q": 0}),
        ("rank_pattern", {"(": 1}),
        ("rank_pattern", ("q", "v")),
        ("alpha_pattern", {"q": -1}),
        ("layers", ()),
        ("layers", 3),
        ("layers", (0, -1)),
        ("in_axes", {"q": 0}),
        ("stacks", "layers"),
    ],
)
def test_what_is_wrong_is_named(field, value):
    with pytest.raises(ConfigError, match=field):
        LoRAConfig(**{field: value})


def test_patterns_match_the_end_of_a_name_and_the_first_counts():
    config = LoRAConfig(
        rank=8, rank_pattern={r"1\.attention\.q": 2, "q": 4}, alpha_pattern={"attention.*": 1}
    )
    assert config.rank_of("layers.0.attention.q") == 4
    assert config.rank_of("layers.1.attention.q") == 2
    assert config.rank_of("layers.11.attention.q") == 4  # "1.attention.q" is not behind a dot
    assert config.rank_of("layers.0.attention.seq") == 8
    assert config.alpha_of("layers.0.attention.q") == 1.0
    assert config.alpha_of("layers.0.mlp.up") == 16.0


@pytest.mark.parametrize("key", ["q", "attention.q", r"\d\.mlp\..*", "layers.1.attention.q", "e"])
def test_patterns_match_as_in_peft(key):
    peft = pytest.importorskip("peft.utils.other", reason="the peers extra installs peft")
    names = ["layers.1.attention.q", "layers.11.attention.q", "layers.0.mlp.gate", "q", "seq"]
    for name in names:
        ours = LoRAConfig(rank=8, rank_pattern={key: 3}).rank_of(name)
        assert ours == (3 if peft.get_pattern_key([key], name) == key else 8), name
