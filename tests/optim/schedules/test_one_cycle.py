import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import one_cycle
from tests.optim.parity import assert_their_rates, plans


@plans("one_cycle")
def test_it_is_pytorchs(plan):
    assert_their_rates(plan)


def test_the_end_stays():
    schedule = one_cycle(1.0, 10, final_scale=0.25)
    assert float(schedule(9)) == float(schedule(99)) == 0.25


@pytest.mark.parametrize(
    ("steps", "options"),
    [(10, {"peak_at": 0.1}), (10, {"peak_at": 0.6, "three_phases": True}), (1, {})],
)
def test_a_phase_without_a_step_is_refused(steps, options):
    with pytest.raises(ConfigError, match=r"schedule.peak_at: expected a step at least in each"):
        one_cycle(1.0, steps, **options)
