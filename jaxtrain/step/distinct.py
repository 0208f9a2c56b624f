"""A function whose every expression is computed once, before XLA sees it.

    same = distinct(function)(*arguments)       # the same bits as function(*arguments), traced

XLA finds common expressions itself, but not at the same point for a program of one device as for
one of several: there it does so before its algebraic rules have had their turn, here behind them.
Some of these rules look at how often a thing is used (a quotient by something that is spread out
becomes a product only where that is used once), so that they came to other products for the same
function. Where nothing is left to be found, the two go the same way.

Rematerialisation stays what it is: what stands in `jax.checkpoint` is not put together with what
stands around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

Result = TypeVar("Result")

_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}
"""What stands for its inner function; nothing that comes in here is differentiated any more."""

_HOLDERS = ("scan", "while", "cond", "remat2", "checkpoint")
"""What runs inner functions in its own way."""

_ELEMENTWISE = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "rem",
        "max",
        "min",
        "pow",
        "atan2",
        "and",
        "or",
        "xor",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ]
)
"""What may be given arrays that are to be spread out, and so makes expressions of its own."""


def distinct(function: Callable[..., Result]) -> Callable[..., Result]:
    """`function`, of arrays in trees, with each expression computed once."""

    def computed(*arguments: Any) -> Result:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        found = _evaluated(traced, jax.tree.leaves(arguments))
        result: Result = jax.tree.unflatten(jax.tree.structure(shapes), found)
        return result

    return computed


def _evaluated(closed: Any, arguments: Sequence[Any]) -> list[Any]:
    """The outputs of a jaxpr; what is bound on the way is bound once."""
    values: dict[Any, Any] = {}
    known: dict[Any, Any] = {}
    _run(closed, list(arguments), values, known)
    return [_read(values, each) for each in _open(closed).outvars]


def _run(closed: Any, arguments: list[Any], values: dict[Any, Any], known: dict[Any, Any]) -> None:
    jaxpr = _open(closed)
    values.update(zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        given = [_read(values, each) for each in equation.invars]
        name, params = equation.primitive.name, equation.params
        if name in _CALLS and _CALLS[name] in params:
            inner, own = params[_CALLS[name]], dict[Any, Any]()
            _run(inner, given, own, known)
            found = [_read(own, each) for each in _open(inner).outvars]
        else:
            if name in _ELEMENTWISE:
                shape = equation.outvars[0].aval.shape
                given = [_spread(each, shape, known) for each in given]
            key = _key(equation, given)
            if key is None or key not in known:
                # What was given is kept, too: a key names it by its place in memory.
                known[key] = _bound(equation, given), given
            found, _ = known[key]
        values.update(zip(equation.outvars, found, strict=True))


def _bound(equation: Any, given: list[Any]) -> list[Any]:
    params = equation.params
    if equation.primitive.name in _HOLDERS:
        params = {name: _inner(value) for name, value in params.items()}
    with equation.ctx.manager:
        found = equation.primitive.bind(*given, **equation.primitive.get_bind_params(params))
    return list(found) if equation.primitive.multiple_results else [found]


def _spread(value: Any, shape: tuple[int, ...], known: dict[Any, Any]) -> Any:
    """A scalar, or an array with axes of 1, in the shape that an equation gives it."""
    own = jax.numpy.shape(value)
    if own == shape:
        return value
    key = "spread", shape, _name(value)
    if key not in known:
        kept = [axis for axis, size in enumerate(own) if size == shape[axis]]
        flat = jax.lax.reshape(value, [own[axis] for axis in kept])
        known[key] = jax.lax.broadcast_in_dim(flat, shape, kept), value
    found, _ = known[key]
    return found


def _inner(value: Any) -> Any:
    """An inner function of a loop or a branch, likewise; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(_inner, value))
    if not isinstance(value, ClosedJaxpr | Jaxpr) or _open(value).constvars:
        return value
    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in _open(value).invars]
    traced = jax.make_jaxpr(lambda *arguments: _evaluated(value, arguments))(*shapes)
    if getattr(traced, "consts", ()):
        return value
    return traced if isinstance(value, type(traced)) else _open(traced)


def _key(equation: Any, given: list[Any]) -> Any:
    """What two equations that give the same have in common; None where nobody can say."""
    if equation.effects:
        return None
    key = equation.primitive, tuple(sorted(equation.params.items())), tuple(map(_name, given))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _name(value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):
        return id(value)
    array = np.asarray(value)
    return array.dtype, array.shape, array.tobytes(), jax.typeof(value).weak_type


def _read(values: dict[Any, Any], each: Any) -> Any:
    return each.val if isinstance(each, Literal) else values[each]


def _open(closed: Any) -> Any:
    return getattr(closed, "jaxpr", closed)
