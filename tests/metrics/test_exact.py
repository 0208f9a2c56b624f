import math

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.metrics import Count, Sum

floats = st.floats(-1e6, 1e6, width=32)
wholes = st.integers(0, 2**32 - 1)


def whole(count):
    return int(count.high) * 2**32 + int(count.low)


def test_a_count_goes_past_what_float32_and_int32_hold():
    count = Count.of(2**24).plus(1)
    assert whole(count) == 2**24 + 1
    count = Count.of(2**32 - 1).plus(1)
    assert (int(count.high), int(count.low)) == (1, 0)
    assert float(count.value()) == 2.0**32


@given(st.lists(wholes, max_size=6), st.lists(wholes, max_size=6))
def test_counts_add_exactly_in_any_grouping(left, right):
    def counted(values):
        count = Count.of(0)
        for value in values:
            count = count.plus(np.uint32(value))
        return count

    assert whole(counted(left).merge(counted(right))) == sum(left) + sum(right)
    assert whole(counted(left + right)) == sum(left) + sum(right)


def test_a_sum_keeps_what_float32_would_lose_also_when_compiled():
    def add_ones(carry, _):
        plain, exact = carry
        return (plain + 1.0, exact.plus(1.0)), None

    start = (jnp.float32(2**24), Sum.of(2.0**24))
    (plain, exact), _ = jax.jit(lambda carry: jax.lax.scan(add_ones, carry, length=1000))(start)
    assert float(plain) == 2**24  # what goes wrong without
    assert float(exact.total) + float(exact.error) == 2**24 + 1000


@given(st.lists(floats, max_size=8), st.lists(floats, max_size=8))
def test_sums_are_nearly_exact_in_any_grouping(left, right):
    def summed(values):
        total = Sum.of(0.0)
        for value in values:
            total = total.plus(np.float32(value))
        return total

    exact = math.fsum([*left, *right])
    scale = math.fsum(abs(value) for value in [*left, *right])
    for found in (summed(left).merge(summed(right)), summed(left + right)):
        assert abs(float(found.total) + float(found.error) - exact) <= 2.0**-44 * scale + 1e-37


def test_infinity_and_nan_come_out_as_they_are():
    infinite = Sum.of(1.0).plus(np.inf).plus(1.0)
    assert float(infinite.value()) == np.inf
    assert float(infinite.merge(Sum.of(5.0)).value()) == np.inf
    assert np.isnan(Sum.of(1.0).plus(np.nan).plus(1.0).value())
    assert float(Sum.of(3e38).plus(3e38).value()) == np.inf


def test_every_part_is_a_32_bit_scalar():
    for state in (Count.of(3).plus(2), Sum.of(3).plus(2)):
        assert all(leaf.shape == () and leaf.dtype.itemsize == 4 for leaf in state)
