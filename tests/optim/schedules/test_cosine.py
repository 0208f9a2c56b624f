import math

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import constant, cosine


def test_constant_is_a_number():
    assert constant(0.1) == 0.1


def test_cosine_begins_at_the_peak_and_ends_at_zero():
    schedule = cosine(0.2, 100)
    assert float(schedule(0)) == pytest.approx(0.2)
    assert float(schedule(50)) == pytest.approx(0.1)
    assert float(schedule(25)) == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)))
    assert float(schedule(100)) == pytest.approx(0.0, abs=1e-8)
    assert float(schedule(1000)) == pytest.approx(0.0, abs=1e-8)


def test_warm_up_is_a_line_and_belongs_to_the_total():
    schedule = cosine(0.2, 110, warmup_steps=10, final_scale=0.5)
    assert float(schedule(0)) == 0.0
    assert float(schedule(5)) == pytest.approx(0.1)
    assert float(schedule(10)) == pytest.approx(0.2)
    assert float(schedule(60)) == pytest.approx(0.15)
    assert float(schedule(110)) == pytest.approx(0.1)
    assert float(schedule(500)) == pytest.approx(0.1)


def test_final_scale_without_warm_up():
    assert float(cosine(0.2, 100, final_scale=0.25)(100)) == pytest.approx(0.05)


@pytest.mark.parametrize("warmup_steps", [100, 101])
def test_a_warm_up_as_long_as_the_run_is_refused(warmup_steps):
    message = f"schedule.warmup_steps: expected less than the 100 steps .* found {warmup_steps}"
    with pytest.raises(ConfigError, match=message):
        cosine(0.2, 100, warmup_steps=warmup_steps)
