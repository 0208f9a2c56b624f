import pytest

from jaxtrain.optim import exponential
from tests.optim.parity import assert_their_rates, plans


@plans("exponential")
def test_it_is_pytorchs(plan):
    assert_their_rates(plan)


def test_it_falls_smoothly_within_an_epoch():
    schedule = exponential(1.0, 100, 10, factor=0.25, every=2)
    assert [float(schedule(n)) for n in (0, 10, 20)] == pytest.approx([1.0, 0.5, 0.25])
