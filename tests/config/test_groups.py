"""Groups of parameters in a config: what each may say, and what it leaves to the optimizer."""

import pytest

from jaxtrain.config import MISSING, dump, load, non_defaults
from jaxtrain.errors import ConfigError
from jaxtrain.run import make_config

WORDS = [
    "optimizer.weight_decay=0.2",
    "optimizer.groups.small.match=*/bias, */scale",
    "optimizer.groups.small.weight_decay=0",
    "optimizer.groups.first.match=hidden_0/*",
    "optimizer.groups.first.freeze=true",
]


def test_a_group_says_what_is_other_and_leaves_the_rest():
    small = make_config({}, WORDS).optimizer.groups["small"]
    assert small.match == ("*/bias", "*/scale")
    assert small.weight_decay == 0.0
    assert small.b1 is small.learning_rate is None
    assert not small.freeze


def test_a_config_that_was_saved_says_the_same_when_it_is_read(tmp_path):
    """What a group leaves to the optimizer must not come back as the component's default."""
    config = make_config({}, WORDS)
    dump(config, tmp_path / "config.yaml")
    again = make_config(load(tmp_path / "config.yaml"))
    assert again == config
    assert again.optimizer.groups["small"].b2 is None


def test_what_differs_from_the_defaults_is_told_option_by_option():
    assert non_defaults(make_config({}, WORDS)) == [
        ("optimizer.groups.small.match", MISSING, ("*/bias", "*/scale")),
        ("optimizer.groups.small.weight_decay", None, 0.0),
        ("optimizer.groups.first.match", MISSING, "hidden_0/*"),
        ("optimizer.groups.first.freeze", False, True),
        ("optimizer.weight_decay", 1e-4, 0.2),
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("small.weight_decy=1", r"groups\.small\.weight_decy: unknown key; did you mean 'weight_d"),
        ("small.weight_decay=99", r"groups\.small\.weight_decay: expected a number .* found 99"),
        ("small.learning_rate=0", r"groups\.small\.learning_rate: expected a number"),
        ("other.freeze=true", r"groups\.other\.match: missing"),
        ("small.clip_norm=1.0", r"groups\.small\.clip_norm: unknown key"),
        ("small.match=[]", r"groups\.small\.match: expected"),
        ("small.lookahead=1", r"groups\.small\.lookahead: unknown key"),
    ],
)
def test_what_a_group_can_not_say(word, message):
    with pytest.raises(ConfigError, match=message):
        make_config({}, [*WORDS, f"optimizer.groups.{word}"])


def test_groups_can_not_be_written_to():
    config = make_config({}, WORDS)
    with pytest.raises(ConfigError, match="frozen"):
        config.optimizer.groups["new"] = None
