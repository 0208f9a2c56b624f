"""What a step is to know of a config, and the optimizer without a schedule."""

import inspect

import jax.numpy as jnp
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run import make_config
from jaxtrain.run.step_options import step_options, without_schedule
from jaxtrain.step import make_train_step

WORDS = {
    "precision=bfloat16": ("precision", "bfloat16"),
    "optimizer.clip_norm=0.5": ("clip_norm", 0.5),
    "optimizer.clip_value=0.25": ("clip_value", 0.25),
    "optimizer.clip_leaf_norm=2": ("clip_leaf_norm", 2),
    "train.accumulate=4": ("accumulate", 4),
    "train.virtual_shards=8": ("virtual_shards", 8),
    "train.sam.radius=0.1": ("sam_radius", 0.1),
    "train.sam.adaptive=true": ("sam_adaptive", True),
    "train.ema=0.9": ("ema_decay", 0.9),
}


@pytest.mark.parametrize("word", WORDS)
def test_each_option_is_that_of_the_config(word):
    name, value = WORDS[word]
    options = step_options(make_config({}, [word]))
    assert options[name] == value
    assert options.keys() <= inspect.signature(make_train_step).parameters.keys()
    usual = step_options(make_config({}))
    changed = {key for key in usual if options[key] != usual[key]}
    assert changed <= {name, "sam_radius"}  # a section that is there has its own default


def test_rows_are_mixed_in_one_way():
    assert step_options(make_config({}))["mix"] is None
    assert step_options(make_config({}, ["train.mixup=0.2"]))["mix"] is not None
    with pytest.raises(ConfigError, match="mixed in one way"):
        step_options(make_config({}, ["train.mixup=0.2", "train.cutmix=1"]))


def test_rows_of_different_lengths_are_not_mixed():
    config = {"model": {"name": "lstm", "lengths": "steps"}}
    with pytest.raises(ConfigError, match=r"leave out model\.lengths"):
        step_options(make_config(config, ["train.mixup=1"]))


def test_without_a_schedule_the_rate_is_the_peak_at_every_step():
    words = ["optimizer.name=sgd", "optimizer.learning_rate=0.5", "schedule.name=cosine"]
    tx = without_schedule(make_config({}, [*words, "schedule.warmup_steps=5"]))
    params = {"w": jnp.zeros(2)}
    state = tx.init(params)
    for _ in range(3):
        updates, state = tx.update({"w": jnp.ones(2)}, state, params)
        assert updates["w"].tolist() == [-0.5, -0.5]
