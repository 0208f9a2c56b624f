import pytest

from jaxtrain.optim import linear, polynomial
from tests.optim.parity import assert_their_rates, plans


@plans("linear", "polynomial")
def test_they_are_pytorchs(plan):
    assert_their_rates(plan)


def test_the_end_is_a_fraction_of_the_peak_and_stays():
    schedule = polynomial(0.5, 10, power=2, final_scale=0.2)
    assert [float(schedule(n)) for n in (0, 5, 10, 99)] == pytest.approx([0.5, 0.2, 0.1, 0.1])
    schedule = linear(0.5, 10, start_scale=0.2, final_scale=0.6)
    assert [float(schedule(n)) for n in (0, 5, 10, 99)] == pytest.approx([0.1, 0.2, 0.3, 0.3])
