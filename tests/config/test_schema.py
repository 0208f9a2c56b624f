"""What the program reads: types, ranges, defaults, and no writing."""

import pydantic
import pytest

from jaxtrain.config import (
    DEFAULT_HOOKS,
    ExperimentConfig,
    OptimizerSection,
    ScheduleSection,
    TrainSection,
)
from jaxtrain.errors import FrozenConfigError


def test_nothing_said_is_a_config():
    config = ExperimentConfig()
    assert tuple(config.hooks) == DEFAULT_HOOKS
    assert config == ExperimentConfig()
    assert config != ExperimentConfig(seed=1)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"seed": True},
        {"seed": 2**31},
        {"device": "abacus"},
        {"precision": "float64"},
        {"project": "../up"},
        {"epochs": 3},
        {"optimizer": {"learning_rate": 11.0}},
        {"optimizer": {"learning_rate": float("nan")}},
        {"train": {"epochs": "5"}},
        {"optimizer": {"batch_scaling": {}}},
        {"optimizer": {"batch_scaling": {"rule": "cubic"}}},
        {"optimizer": {"batch_scaling": {"rule": "linear", "base": 0}}},
        {"schedule": {"warmup_steps": -1}},
        {"schedule": {"warmup_epochs": -0.5}},
        {"schedule": {"warmup_fraction": 1.0}},
        {"schedule": {"warmup_steps": 3, "warmup_from": 1.0}},
    ],
)
def test_out_of_range_of_another_type_or_unknown(options):
    with pytest.raises(pydantic.ValidationError):
        ExperimentConfig(**options)


@pytest.mark.parametrize("rate", [1e-8, 1e-3, 10.0])
def test_the_ends_of_a_range_are_in_it(rate):
    assert OptimizerSection(learning_rate=rate).learning_rate == rate


def test_it_can_not_be_written_to():
    config = ExperimentConfig()
    with pytest.raises(FrozenConfigError, match="cannot write 'seed'"):
        config.seed = 2
    with pytest.raises(FrozenConfigError, match="cannot write 'epochs'"):
        del config.train.epochs
    with pytest.raises(FrozenConfigError):
        config.hooks["csv"] = None
    assert TrainSection().form == "auto"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"warmup_steps": 3, "warmup_fraction": 0.1},
            "expected one of warmup_steps, warmup_epochs, warmup_fraction, found warmup_steps and",
        ),
        ({"warmup_epochs": 1.0, "warmup_steps": 3}, "found warmup_steps and warmup_epochs"),
        ({"warmup_from": 0.1}, "warmup_from wants one of warmup_steps"),
    ],
)
def test_a_warm_up_is_said_once(options, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        ScheduleSection(**options)
