"""A metric as a monoid: an empty state, an update, a merge, and a value at the end.

    metric = Accuracy()
    state = metric.empty()
    for output in outputs:                     # or as the carry of lax.scan, or a slice of vmap
        state = metric.update(state, output)
    state = metric.merge(state, state_of_another_host)
    print(metric.compute(state))

States are pytrees of fixed shape and dtype. An `output` is what a step returns: a mapping of arrays
with `outputs` `[B, K]`, `labels` `[B]`, `loss_sum`, `loss_weight` and, where rows may be padding,
`mask` `[B, ...]` (above 0 where an element counts).

The output of a population, vmapped over P members, is P outputs: `jax.vmap(metric.update)` takes
one state a member.

Axes: B batch, K classes or outputs, P members of a population.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax

from jaxtrain.errors import JaxtrainError

Output: TypeAlias = Mapping[str, Any]
State = TypeVar("State")


@runtime_checkable
class Metric(Protocol[State]):
    """Four pure functions. `empty()` is neutral for `merge`, and `merge` is associative."""

    def empty(self) -> State:
        """The state that has seen nothing."""

    def update(self, state: State, output: Output) -> State:
        """The state that has also seen `output`."""

    def merge(self, a: State, b: State) -> State:
        """The state that has seen what `a` and what `b` have seen."""

    def compute(self, state: State) -> jax.Array:
        """The value: a float32 scalar; NaN where nothing was seen.

        A metric may give an array instead, as `ConfusionMatrix` does, and say so: an engine takes
        it, and what is of single numbers (logs, curves, monitors) passes over it.
        """


def has_all(thing: Any, *names: str) -> bool:
    """Whether `thing` has attributes of these names in truth.

    A class whose `__getattr__` answers everything, as that of Ignite's metrics does, says yes to
    `hasattr` and to every `isinstance` of a Protocol.

    >>> class Yes:
    ...     def __getattr__(self, name): return print
    >>> hasattr(Yes(), "empty"), has_all(Yes(), "empty")
    (True, False)
    """
    nothing = object()
    return all(inspect.getattr_static(thing, name, nothing) is not nothing for name in names)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """An error inside comes out with the metric's name: in its message, or as a note beneath it.

    >>> with naming("val/f1"):
    ...     raise JaxtrainError("no labels")
    Traceback (most recent call last):
        ...
    jaxtrain.errors.JaxtrainError: metric 'val/f1': no labels
    """
    try:
        yield
    except JaxtrainError as error:
        raise type(error)(f"metric {name!r}: {error}") from error
    except Exception as error:
        error.add_note(f"raised by the metric {name!r}")
        raise
