"""Sums that stay right over long epochs, in 32-bit arithmetic.

    count = Count.of(0)
    count = count.plus(jnp.sum(correct))     # exact up to 2**64
    total = Sum.of(0.0)
    total = total.plus(loss_sum)             # as if added in about 48 bits

A float32 counter stops at 2**24 (16.8 million; adding 1 no longer changes it) and a float32 sum
of a million losses has lost its last three digits. The device has no 64-bit types by default, so
both are made of two 32-bit halves.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


class Count(NamedTuple):
    """A whole number: `high * 2**32 + low`, both uint32 of one shape."""

    high: jax.Array
    low: jax.Array

    @classmethod
    def empty(cls) -> Count:
        """None yet."""
        return cls.of(0)

    @classmethod
    def of(cls, value: ArrayLike) -> Count:
        """A count of `value`, a whole number from 0 to 2**32 - 1, or of each in an array."""
        low = jnp.asarray(value, jnp.uint32)
        return cls(high=jnp.zeros_like(low), low=low)

    def plus(self, value: ArrayLike) -> Count:
        """The count after `value` more (a whole number from 0 to 2**32 - 1)."""
        return self.merge(Count.of(value))

    def merge(self, other: Count) -> Count:
        """The sum of two counts."""
        low = self.low + other.low
        # Unsigned addition wraps: the sum is smaller than a summand exactly when it overflowed.
        carry = (low < self.low).astype(jnp.uint32)
        return Count(high=self.high + other.high + carry, low=low)

    def value(self) -> jax.Array:
        """The nearest float32."""
        return self.high.astype(jnp.float32) * 2.0**32 + self.low.astype(jnp.float32)


class Sum(NamedTuple):
    """A real number: `total + error`, both float32 of one shape; `error` is below half a unit.

    After Møller (1965) and Knuth, The Art of Computer Programming 2, 4.2.2: the rounding error of
    a float addition is itself a float, and six additions find it.
    """

    total: jax.Array
    error: jax.Array

    @classmethod
    def of(cls, value: ArrayLike) -> Sum:
        """A sum that is `value` so far, or one for each in an array."""
        total = jnp.asarray(value, jnp.float32)
        return cls(total=total, error=jnp.zeros_like(total))

    def plus(self, value: ArrayLike) -> Sum:
        """The sum after `value` more."""
        return self.merge(Sum.of(value))

    def merge(self, other: Sum) -> Sum:
        """The sum of two sums."""
        total, lost = _two_sum(self.total, other.total)
        return Sum(*_two_sum(total, lost + self.error + other.error))

    def value(self) -> jax.Array:
        """The nearest float32."""
        return self.total + self.error


def _two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`a + b` rounded, and what the rounding lost."""
    total = a + b
    of_b = total - a
    lost = (a - (total - of_b)) + (b - of_b)
    # An infinite total must stay what it is; Inf - Inf would make the remainder NaN.
    return total, jnp.where(jnp.isfinite(total), lost, 0.0)
