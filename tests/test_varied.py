"""A number that is another one in each member."""

from __future__ import annotations

import math
import operator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.varied import Disagreement, Numbers, Varied

_NUMBERS = st.one_of(st.floats(-100, 100), st.integers(-100, 100))
_PAIRS = st.lists(st.tuples(_NUMBERS, _NUMBERS), min_size=1, max_size=4)
_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod")


@given(pairs=_PAIRS, name=st.sampled_from(_OPERATORS), other=_NUMBERS)
def test_arithmetic_is_pythons_member_by_member(pairs, name, other):
    function = getattr(operator, name)
    first, second = Varied([a for a, _ in pairs]), Varied([b for _, b in pairs])
    cases = (
        (lambda: function(first, second), lambda: [function(a, b) for a, b in pairs]),
        (lambda: function(first, other), lambda: [function(a, other) for a, _ in pairs]),
        (lambda: function(other, first), lambda: [function(other, a) for a, _ in pairs]),
    )
    for mine, each in cases:
        try:
            expected = each()
        except ZeroDivisionError:
            with pytest.raises(ZeroDivisionError):
                mine()
            continue
        found = mine()
        assert found.values == tuple(expected)
        assert list(map(type, found.values)) == list(map(type, expected))


def test_one_argument():
    number = Varied((1.26, -2.5))
    assert (-number).values == (-1.26, 2.5)
    assert (+number).values == (1.26, -2.5)
    assert abs(number).values == (1.26, 2.5)
    assert round(number).values == (1, -2)
    assert round(number, 1).values == (1.3, -2.5)
    assert math.floor(number).values == (1, -3)
    assert math.ceil(number).values == (2, -2)
    assert math.trunc(number).values == (1, -2)
    assert (number**2).values == (1.26**2, 6.25)
    assert (2**number).values == (2**1.26, 2**-2.5)


def test_a_question_has_one_answer_or_parts_the_members():
    number = Varied((0.1, 0.2, 0.0))
    assert number < 1
    assert not number > 1
    assert number != 5
    with pytest.raises(Disagreement) as parted:
        bool(number == 0)
    assert parted.value.answers == (False, False, True)
    with pytest.raises(Disagreement) as parted:
        bool(number)
    assert parted.value.answers == (True, True, False)
    assert max(number, -1) is number


@pytest.mark.parametrize("use", [float, int, math.log, np.float32, np.asarray, lambda n: np.exp(n)])
def test_who_wants_a_plain_number_parts_them_by_it(use):
    with pytest.raises((Disagreement, TypeError)):
        use(Varied((1.5, 2.5)))


def test_where_all_agree_it_is_a_plain_number():
    same = Varied((3, 3))
    assert (float(same), int(same), list(range(same))) == (3.0, 3, [0, 1, 2])
    with pytest.raises(Disagreement) as parted:
        range(Varied((3, 4)))
    assert parted.value.answers == (3, 4)


def test_nobody_takes_a_disagreement_for_a_fault():
    assert not issubclass(Disagreement, Exception)


def test_what_is_no_number():
    for values in ((), ("a",), (None, 1.0)):
        with pytest.raises(TypeError, match="Varied: expected a number of each member"):
            Varied(values)


def test_on_the_device_it_is_the_number_of_the_member():
    rate, count = Varied((0.25, 0.5)), Varied((3, 4))

    def step(x):
        half = jnp.where(x > 0, x, rate)
        return jnp.multiply(x * (1 - rate) + rate**x, half) / count, x < rate, rate / x

    numbers = Numbers()
    with numbers.discovering():
        jax.eval_shape(step, 2.0)
    assert [str(slot.dtype) for slot in numbers.of_members()] == ["float32"] * 2 + ["int32"]
    for member, (r, n) in enumerate([(0.25, 3), (0.5, 4)]):
        row = [slot[member] for slot in numbers.of_members()]
        for run in (step, jax.jit(partial(step))):
            with numbers.reading(row):
                found = run(jnp.float32(2.0))
            expected = (jnp.float32(2.0 * (1 - r) + r**2.0) * 2.0 / n, r > 2.0, r / 2.0)
            np.testing.assert_allclose(found, expected, rtol=3e-7)
    assert numbers.of_members([1])[0].shape == (1,)


def test_traced_again_it_is_the_number_of_that_time():
    """No tracer of one trace may stay behind for the next."""
    rate, numbers = Varied((0.25, 0.5)), Numbers()
    with numbers.discovering():
        jax.eval_shape(lambda x: x * rate, 1.0)

    def step(slots, x):
        with numbers.reading(slots):
            return jax.lax.cond(x > 0, lambda: x * rate, lambda: x)

    both = [jnp.asarray(slot) for slot in numbers.of_members()]
    for _ in range(2):
        found = jax.jit(jax.vmap(step, (0, None)))(both, 8.0)
        assert found.tolist() == [2.0, 4.0]


def test_an_integer_and_a_float_of_one_value_are_two():
    numbers = Numbers()
    with numbers.discovering():
        jnp.asarray(Varied((1, 2))), jnp.asarray(Varied((1.0, 2.0)))
    assert [str(slot.dtype) for slot in numbers.of_members()] == ["int32", "float32"]


def test_outside_of_a_member_it_is_no_array():
    with pytest.raises(RuntimeError, match=r"an array only within Numbers\.reading"):
        jnp.asarray(Varied((1.0, 2.0)))
    numbers = Numbers()
    with numbers.reading([]), pytest.raises(KeyError):
        jnp.asarray(Varied((1.0, 2.0)))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.int32])
@pytest.mark.parametrize("values", [(0.25, 0.5), (1, 2)])
def test_it_is_as_weak_a_number_as_pythons(dtype, values):
    x, varied, slots = jnp.ones(2, dtype), Varied(values), Numbers()
    with slots.discovering():
        assert (x * varied).dtype == (x * values[0]).dtype
    for member, value in enumerate(values):
        with slots.reading([slot[member] for slot in slots.of_members()]):
            for found, wanted in ((x * varied, x * value), (varied - x, value - x)):
                assert found.dtype == wanted.dtype
                np.testing.assert_array_equal(found, wanted)
