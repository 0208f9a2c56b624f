"""A number that is another one in each member of a population.

    rate = Varied((1e-3, 1e-2))                     # of two members
    1 - rate, round(rate * 100)                     # Varied((0.999, 0.99)), Varied((0, 1))
    rate > 0                                        # True: all members agree
    rate > 5e-3                                     # Disagreement: their programs part here

    numbers = Numbers()
    with numbers.discovering():
        jax.eval_shape(step, state, batch)          # which numbers the step takes to the device
    with numbers.reading(slots):                    # those of one member, traced or not
        step(state, batch)                          # where it stands in a product, it is an array

Code that was written for a plain number so runs for all members at once, whether or not its author
has thought of it. On the host its arithmetic is Python's, in double precision, member by member:
what reaches the device is the very number that a lone run has. Where code asks something of it that
has more than one answer, or takes it for a length, a `Disagreement` says which members go together.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import operator
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core.primitives import convert_element_type_p

Number = float | int | bool


class Disagreement(BaseException):
    """Members gave different answers where code wanted one.

    No `Exception`, so that nobody takes it for a fault of a component on its way to who can split
    the members.

    Attributes:
        answers: that of each member.
    """

    def __init__(self, answers: Sequence[Any]) -> None:
        super().__init__(f"members disagree: {', '.join(map(str, answers))}")
        self.answers = tuple(answers)


class Varied:
    """A number of each member; it stands where a number may stand.

    Args:
        values: of the members, Python's numbers, one at least.
    """

    # NumPy leaves its operators to ours, and takes no array of objects for numbers.
    __array_ufunc__ = None
    __slots__ = ("values",)

    def __init__(self, values: Sequence[Number]) -> None:
        self.values = tuple(values)
        if not self.values or not all(isinstance(v, (float, int)) for v in self.values):
            raise TypeError(f"Varied: expected a number of each member, found {self.values!r}")

    def __repr__(self) -> str:
        return f"Varied({self.values!r})"

    # -- on the device -------------------------------------------------------------------------

    def __jax_array__(self) -> jax.Array:
        """The number of the member at hand, a scalar array: float32 or int32.

        Raises:
            RuntimeError: nobody has said which member's.
        """
        read = _READING.get()
        if read is None:
            raise RuntimeError(f"{self!r}: it is an array only within Numbers.reading()")
        return read(self)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise Disagreement(self.values)

    # -- one answer of all ---------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(_one(map(bool, self.values)))

    def __float__(self) -> float:
        return float(_one(map(float, self.values)))

    def __int__(self) -> int:
        return int(_one(map(int, self.values)))

    def __index__(self) -> int:
        return operator.index(_one(operator.index(v) for v in self.values))  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return id(self)  # equal to whom is a question that may have two answers

    def __format__(self, spec: str) -> str:
        return repr(self)

    # -- member by member ----------------------------------------------------------------------

    def __neg__(self) -> Varied:
        return self._each(operator.neg)

    def __pos__(self) -> Varied:
        return self

    def __abs__(self) -> Varied:
        return self._each(abs)

    def __round__(self, digits: int | None = None) -> Varied:
        return self._each(lambda value: round(value, digits))

    def __trunc__(self) -> Varied:
        return self._each(math.trunc)

    def __floor__(self) -> Varied:
        return self._each(math.floor)

    def __ceil__(self) -> Varied:
        return self._each(math.ceil)

    def _each(self, function: Callable[[Any], Any]) -> Varied:
        return Varied([function(value) for value in self.values])

    def _with(self, other: Any, function: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Varied):
            pairs = zip(self.values, other.values, strict=True)
            return Varied([function(a, b) for a, b in pairs])
        if isinstance(other, (float, int)):
            return Varied([function(value, other) for value in self.values])
        if isinstance(other, (jax.Array, np.ndarray, np.generic)):
            return function(self.__jax_array__(), other)
        return NotImplemented

    def _asked(self, other: Any, function: Callable[[Any, Any], Any]) -> Any:
        found = self._with(other, function)
        return bool(found) if isinstance(found, Varied) else found


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, which of members' numbers is not asked: equal are equal ones.

    >>> same(Varied((1, 2)), Varied((1, 2))), same((Varied((1, 2)),), (1,))
    (True, False)
    """
    if isinstance(one, Varied) or isinstance(other, Varied):
        both = isinstance(one, Varied) and isinstance(other, Varied)
        return both and one.values == other.values
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


class Static:
    """For a frozen dataclass, with `eq=False`, that stands in a tree beside its leaves.

    JAX compares what stands there, with anything else that stood there: that must not part members.
    """

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and same(self._fields(), other._fields())

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[Any, ...]:
        return tuple(vars(self).values())


def _one(answers: Iterator[Any]) -> Any:
    found = list(answers)
    if len(set(found)) > 1:
        raise Disagreement(found)
    return found[0]


def _add_operators() -> None:
    """Python looks operators up in the class: `x + v`, `v + x` and so on, all the same but one."""

    def forth(function: Callable[[Any, Any], Any]) -> Callable[[Varied, Any], Any]:
        return lambda self, other: self._with(other, function)

    def back(function: Callable[[Any, Any], Any]) -> Callable[[Varied, Any], Any]:
        return lambda self, other: self._with(other, lambda mine, theirs: function(theirs, mine))

    def asked(function: Callable[[Any, Any], Any]) -> Callable[[Varied, Any], Any]:
        return lambda self, other: self._asked(other, function)

    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        function = getattr(operator, name)
        setattr(Varied, f"__{name}__", forth(function))
        setattr(Varied, f"__r{name}__", back(function))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Varied, f"__{name}__", asked(getattr(operator, name)))


_add_operators()
numbers.Real.register(Varied)
# An argument of a compiled function is an array in it, as a plain number is, too.
jax.tree_util.register_pytree_node(
    Varied, lambda number: ((number.__jax_array__(),), None), lambda _, arrays: arrays[0]
)


class Numbers:
    """The numbers that a program takes to the device, each in a slot of its own.

    They are no constants of the program, which so serves other members as well.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[Any, ...], int] = {}

    @contextlib.contextmanager
    def discovering(self) -> Iterator[None]:
        """Give a slot to each number that is taken to the device in here; as 1, to be traced."""

        def note(number: Varied) -> jax.Array:
            key = _key(number)
            self._slots.setdefault(key, len(self._slots))
            return _as_weak(jnp.ones((), key[0]), number)

        with _reading(note):
            yield

    @contextlib.contextmanager
    def reading(
        self, slots: Sequence[Any], note: Callable[[Any], Any] = lambda key: None
    ) -> Iterator[None]:
        """Here the numbers are those of one member.

        Args:
            slots: one of the rows of `of_members`, or a tracer of each.
            note: is told each number that is asked for, by what tells them apart.

        Raises:
            KeyError: a number is wanted that no slot was found for.
        """

        def read(number: Varied) -> jax.Array:
            note(_key(number))
            return _as_weak(jnp.asarray(slots[self._slots[_key(number)]]), number)

        with _reading(read):
            yield

    def of_members(self, members: Sequence[int] | None = None) -> tuple[np.ndarray, ...]:
        """A slot's numbers `[M]`, slot by slot; by default those of all members.

        Args:
            members: their places in the population that was discovered.
        """
        chosen = slice(None) if members is None else list(members)
        return tuple(np.asarray(key[1:], key[0])[chosen] for key in self._slots)


def _as_weak(array: jax.Array, number: Varied) -> jax.Array:
    """Beside Python's numbers half precision stays what it is; beside those of NumPy it doesn't.

    The primitive is that of `lax.convert_element_type`, which itself has no word for it.
    """
    if not all(type(value) in (float, int) for value in number.values):
        return array
    weak: jax.Array = convert_element_type_p.bind(
        array, new_dtype=array.dtype, weak_type=True, sharding=None
    )
    return weak


def _key(number: Varied) -> tuple[Any, ...]:
    """The dtype, as a name, and the numbers: to Python 1 and 1.0 are the same."""
    dtype = np.result_type(*{type(value) for value in number.values})
    return str(jax.dtypes.canonicalize_dtype(dtype)), *number.values


_READING: ContextVar[Callable[[Varied], jax.Array] | None] = ContextVar("reading", default=None)


@contextlib.contextmanager
def _reading(read: Callable[[Varied], jax.Array]) -> Iterator[None]:
    token = _READING.set(read)
    try:
        yield
    finally:
        _READING.reset(token)
