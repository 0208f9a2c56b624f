"""Options that do not go together; the step's own tests try them through make_train_step."""

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.step import policy
from jaxtrain.step.misfits import refuse_misfits


@pytest.mark.parametrize(
    ("clips", "norm", "ema_decay", "said"),
    [
        ({"clip_norm": 1.0, "clip_value": 1.0}, True, None, "clipped in one way"),
        ({"clip_norm": 1.0}, False, None, "leave out norm=False"),
        ({"clip_value": 0.0}, True, None, "clip_value: expected a number above 0"),
        ({}, True, 1.0, "ema_decay: expected 0 or more"),
    ],
)
def test_options_that_do_not_go_together(clips, norm, ema_decay, said):
    with pytest.raises(ConfigError, match=said):
        refuse_misfits(policy("float32"), clips, norm, True, ema_decay)
