"""What metrics have in common, written once: a new one is a state and an `update`.

    @METRICS.register("mean_output")
    @dataclass(frozen=True, kw_only=True)
    class MeanOutput(MonoidMetric[MeanState]):
        state_type = MeanState

        def update(self, state, output):
            values = self.read(output, "outputs")
            real = self.counted(output, values)
            return state.plus(jnp.sum(values, where=real), jnp.sum(real, dtype=jnp.int32))

The state is the monoid: it knows its empty value, its sum with another, and what it comes to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import jax

from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.reading import counted, read


class Monoid(Protocol):
    """A state that can be merged: a pytree of fixed shapes and dtypes."""

    @classmethod
    def empty(cls) -> Self:
        """What has seen nothing; neutral for `merge`."""
        ...

    def merge(self, other: Self, /) -> Self:
        """What has seen what both have seen."""
        ...

    def value(self) -> jax.Array:
        """What it comes to: a float32 scalar, or an array; NaN where nothing was seen."""
        ...


MonoidState = TypeVar("MonoidState", bound=Monoid)


class MonoidMetric(ABC, Generic[MonoidState]):
    """A `Metric` over a state that is a monoid itself. A subclass sets `state_type`, and updates.

    Its errors name it: `read` and `counted` say which metric wanted what.
    """

    state_type: ClassVar[Any]

    def empty(self) -> MonoidState:
        """Nothing seen yet."""
        state: MonoidState = self.state_type.empty()
        return state

    @abstractmethod
    def update(self, state: MonoidState, output: Output) -> MonoidState:
        """With what one more output has to say."""

    def merge(self, a: MonoidState, b: MonoidState) -> MonoidState:
        """With what both have seen."""
        return a.merge(b)

    def compute(self, state: MonoidState) -> jax.Array:
        """The value, float32; NaN of nothing."""
        return state.value()

    def read(self, output: Output, path: str) -> jax.Array:
        """The array at a dotted path of the output; see `reading.read`."""
        array: jax.Array = read(output, path, reader=self.title)
        return array

    def counted(self, output: Output, values: jax.Array, *, mask: str | None = "mask") -> jax.Array:
        """Which of `values` count, as bools of their shape; see `reading.counted`."""
        real: jax.Array = counted(output, values, mask=mask, reader=self.title)
        return real

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"the metric {type(self).__name__}"
