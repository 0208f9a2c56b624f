"""Program: a step, the metrics and the windows, compiled together, once or in a loop.

What is known of a step is read off its jaxpr before anything runs: which leaves of the state it
passes through unchanged (those are neither given away, nor copied, nor handed back), what of its
output is a scalar, and which compiler options suit it.

The loop of the fused form has its length as an argument. One executable so runs every length, and
the lengths cannot change a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain.compiling import compiler_options
from jaxtrain.engine.device.members import (
    Members,
    axes_of_state,
    mesh_axis_of,
    state_of_one,
)
from jaxtrain.engine.device.observers import Observers, refuse_unfit
from jaxtrain.engine.device.output import Layout
from jaxtrain.engine.device.packing import Packing

Step = Callable[[Any, Any], tuple[Any, Any]]
# One dispatch, jitted: (kept leaves, given leaves, what was seen, data, place) -> (new leaves, what
# was seen, what leaves of the last output).
Run = Any


class Program:
    """A step and its observers, ready to be compiled.

    Args:
        step: `(train_state, batch) -> (train_state, output)`, pure.
        observers: what looks at every output.
        train_state: the state, or its shapes.
        batch: a batch, or its shapes.
        keeps: the entries of the output whose arrays leave a dispatch; None for all.
        members: how many runs it is a program of, each with its own state. The step is that of one.
        axes: where the members' axis of what a dispatch is given is, as `Portion.members` says.

    Attributes:
        fixed: for each leaf of the state, whether the step passes it through unchanged.
        layout: what of the output leaves a dispatch.

    Raises:
        TypeError: the step changes the structure, shapes or dtypes of the state.
    """

    def __init__(
        self,
        step: Step,
        observers: Observers,
        train_state: Any,
        batch: Any,
        *,
        keeps: frozenset[str] | None,
        members: Members | None = None,
        axes: Any = None,
    ) -> None:
        leaves, treedef = jax.tree.flatten(train_state)
        own = [None] * len(leaves) if members is None else axes_of_state(train_state)
        self._mesh_axis = None
        if members is not None:
            self._mesh_axis = mesh_axis_of(train_state)
            train_state = state_of_one(train_state)
        closed, shapes = jax.make_jaxpr(step, return_shape=True)(train_state, batch)
        if not (isinstance(shapes, tuple) and len(shapes) == 2):
            raise TypeError(
                "a step returns (state, output), found "
                + (f"a tuple of {len(shapes)}" if isinstance(shapes, tuple) else "one thing")
                + "; where there is nothing to put out, return (state, {})"
            )
        returned, output = shapes
        _refuse_changed_state(train_state, returned)
        refuse_unfit(observers, output)
        jaxpr = getattr(closed, "jaxpr", closed)
        self.treedef = treedef
        self.fixed = _passed_through(jaxpr, len(leaves))
        if members is not None:
            _refuse_changed_common(train_state, own, self.fixed)
        self._members, self._axes = members, axes
        self._kept_axes = self.split(own)[0]
        self.layout = Layout.of(output, keeps)
        self._options = compiler_options(jaxpr, jax.default_backend())
        self._shardings = _shardings(leaves, self.split(leaves)[1])
        self._packing = observers.packing
        self._body = _make_body(step, observers, treedef, self.fixed, self.layout)
        single = _make_single(self._body, self._packing, self.layout)
        self.single: Run = self._jit(self._of_all(single, axes), 4)
        self._loops: dict[Callable[..., Any], Run] = {}

    def loop(self, get: Callable[[Any, Any], Any]) -> Run:
        """The fused form, over batches that `get(data, index)` finds."""
        found = self._loops.get(get)
        if found is None:
            loop = _make_loop(self._body, self._packing, self.layout, get)
            found = self._jit(self._of_all(loop, self._axes, None), 5)
            self._loops[get] = found
        return found

    def split(self, leaves: list[Any]) -> tuple[list[Any], list[Any]]:
        """The state's leaves as those that stay and those that are given away."""
        kept = [leaf for leaf, fixed in zip(leaves, self.fixed, strict=True) if fixed]
        given = [leaf for leaf, fixed in zip(leaves, self.fixed, strict=True) if not fixed]
        return kept, given

    def _of_all(self, function: Run, *axes: Any) -> Run:
        """The same of each member; `axes` are those of what stands behind its own."""
        if self._members is None:
            return function
        return self._members.each(
            function,
            (self._kept_axes, 0, 0, *axes),
            spmd_axis_name=self._mesh_axis,
            in_place=(1, 2),
        )

    def _jit(self, function: Run, arguments: int) -> Run:
        where: dict[str, Any] = {}
        if self._shardings is not None:
            where["out_shardings"] = self._shardings
            # What was seen may come from elsewhere, and then XLA could lay it out as it likes.
            where["in_shardings"] = (None, None, self._shardings[1], *[None] * (arguments - 3))
        return jax.jit(function, donate_argnums=(1, 2), compiler_options=self._options, **where)


def _make_body(
    step: Step,
    observers: Observers,
    treedef: Any,
    fixed: tuple[bool, ...],
    layout: Layout,
) -> Callable[..., Any]:
    """One step: everything that happens on the device in an iteration."""

    def body(kept: list[Any], given: list[Any], carry: Any, batch: Any) -> Any:
        stays, goes = iter(kept), iter(given)
        train_state = treedef.unflatten(
            next(stays) if is_fixed else next(goes) for is_fixed in fixed
        )
        new_state, output = step(train_state, batch)
        new = [x for x, f in zip(jax.tree.leaves(new_state), fixed, strict=True) if not f]
        return new, observers.update(carry, output), layout.chosen(output)

    return body


def _make_single(body: Callable[..., Any], packing: Packing, layout: Layout) -> Run:
    def single(kept: Any, given: Any, packed: Any, batch: Any) -> Any:
        new, carry, chosen = body(kept, given, packing.unpack(packed), batch)
        return new, packing.pack(carry), layout.pack(chosen)

    return single


def _make_loop(
    body: Callable[..., Any], packing: Packing, layout: Layout, get: Callable[[Any, Any], Any]
) -> Run:
    def loop(kept: Any, given: Any, packed: Any, data: Any, place: jax.Array) -> Any:
        start, length = place[0], place[1]

        def once(index: jax.Array, values: Any) -> Any:
            now, carry, _ = values
            return body(kept, now, carry, get(data, start + index))

        begin = given, packing.unpack(packed), layout.nothing()
        new, carry, chosen = jax.lax.fori_loop(0, length, once, begin)
        return new, packing.pack(carry), layout.pack(chosen)

    return loop


def _shardings(leaves: list[Any], given: list[Any]) -> tuple[list[Any], Any, Any] | None:
    """Where what comes out of a dispatch lies; None where all of the state lies on one device.

    The leaves that are given away stay where they are: one that lies on one device beside others
    that are spread out is needed by all of them. What was seen is whole on each. What leaves lies
    as it was made; but where several processes have parts of it, each wants the whole to read.
    """
    found = [getattr(leaf, "sharding", None) for leaf in leaves]
    meshes = [s.mesh for s in found if isinstance(s, NamedSharding) and len(s.device_set) > 1]
    if not meshes:
        return None
    whole = NamedSharding(meshes[0], PartitionSpec())
    places = [getattr(leaf, "sharding", None) for leaf in given]
    stay = [s if s is not None and len(s.device_set) > 1 else whole for s in places]
    return stay, whole, None if whole.is_fully_addressable else whole


def _passed_through(jaxpr: Any, count: int) -> tuple[bool, ...]:
    """For each of the first `count` inputs, whether it is also the output of that place."""
    made_by = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
    return tuple(
        given is _origin(back, made_by)
        for given, back in zip(jaxpr.invars[:count], jaxpr.outvars[:count], strict=True)
    )


def _origin(var: Any, made_by: Mapping[Any, Any]) -> Any:
    """The variable that `var` is another name of: a jitted function hands on what it was given."""
    # A literal is made by nobody, and can't be looked up.
    equation = None if isinstance(var, Literal) else made_by.get(var)
    if equation is None or equation.primitive.name not in ("jit", "pjit"):
        return var
    inner = equation.params["jaxpr"]
    inner = getattr(inner, "jaxpr", inner)
    back = inner.outvars[equation.outvars.index(var)]
    for number, given in enumerate(inner.invars):
        if given is _origin(back, {v: e for e in inner.eqns for v in e.outvars}):
            return _origin(equation.invars[number], made_by)
    return var


def _refuse_changed_state(given: Any, returned: Any) -> None:
    """A state that changes its shape would be compiled anew for ever, or not fit into a loop."""
    problems = _differences(given, returned)
    if problems:
        raise TypeError(
            "a step must return a state of the same structure, shapes and dtypes as it was given:\n"
            "  " + "\n  ".join(problems)
        )


def _refuse_changed_common(
    train_state: Any, own: Sequence[int | None], fixed: Sequence[bool]
) -> None:
    """What all members have in common none of them can have changed."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(train_state)]
    changed = [
        jax.tree_util.keystr(path)
        for path, axis, stays in zip(paths, own, fixed, strict=True)
        if axis is None and not stays
    ]
    if changed:
        raise TypeError(
            f"the step changes what the members have in common: state{changed[0]}; return it as it "
            "was given, or give each member its own, without InCommon"
        )


def _differences(given: Any, returned: Any) -> list[str]:
    before = {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(given)}
    after = {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(returned)}
    problems = [f"{path} is gone" for path in before.keys() - after.keys()]
    problems += [f"{path} is new" for path in after.keys() - before.keys()]
    for path in before.keys() & after.keys():
        was, now = _kind(before[path]), _kind(after[path])
        if was == now:
            continue
        hint = ""
        if not hasattr(before[path], "dtype"):
            hint = " (it was given as a Python number: make it an array, as in jnp.asarray(0))"
        problems.append(f"{path}: {_show(was)} becomes {_show(now)}{hint}")
    return sorted(problems)


def _kind(leaf: Any) -> tuple[tuple[int, ...], str]:
    dtype = str(leaf.dtype) if hasattr(leaf, "dtype") else type(leaf).__name__
    return tuple(np.shape(leaf)), dtype


def _show(shape_and_dtype: tuple[tuple[int, ...], str]) -> str:
    shape, dtype = shape_and_dtype
    return f"{dtype}{list(shape)}"
