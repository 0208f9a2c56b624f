"""What XLA is told besides a program.

    step = jt.jit(make_train_step(model, loss, tx), donate_argnums=0)

An `Engine` tells it by itself; `jit` is for a loop of one's own. Like the form of a run, it follows
from the program and the platform alone: it may change bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxprs_in_params

# XLA's CPU backend hands convolutions and products to the YNN library, whose convolutions take
# half as long again as Eigen's, and twice as long or more for the gradient of a kernel
# (XLA of jaxlib 0.10.2; in that of 0.12.0 gradients still take half as long again). Nothing in the
# list of what YNN gets leaves all to Eigen.
_WITHOUT_YNN = {"xla_cpu_experimental_ynn_fusion_type": ""}


def jit(function: Callable[..., Any], **options: Any) -> Jitted:
    """`jax.jit(function, **options)`, told what an `Engine` tells the compiler.

    On a CPU that makes steps with convolutions up to twice as fast; elsewhere it is `jax.jit`.

    Args:
        function: a step, or anything else that is pure.
        options: those of `jax.jit`.
    """
    return Jitted(function, options)


class Jitted:
    """A compiled function; see `jit`. Within another function that is traced it is a part of that,
    and compiled as the whole is.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._plain = jax.jit(function, **options)
        self._make = functools.partial(jax.jit, function, **options)
        self._told: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        if self._told is self._plain or is_traced((args, kwargs)):
            return self._plain(*args, **kwargs)
        return self._for(args, kwargs)(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> jax.stages.Lowered:
        """As that of `jax.jit`, with the same options."""
        lowered: jax.stages.Lowered = self._for(args, kwargs).lower(*args, **kwargs)
        return lowered

    def _for(self, args: Any, kwargs: Any) -> Any:
        """The form for such arguments, found with the first of them."""
        if self._told is None:
            found = self._plain.trace(*args, **kwargs).jaxpr
            options = compiler_options(found, jax.default_backend())
            self._told = self._plain if options is None else self._make(compiler_options=options)
        return self._told


def compiler_options(jaxpr: Jaxpr | ClosedJaxpr, platform: str) -> dict[str, Any] | None:
    """Options for `jax.jit`, or None.

    Args:
        jaxpr: the program's, as `jax.make_jaxpr` gives it.
        platform: "cpu", "gpu" or "tpu".
    """
    if platform != "cpu" or "conv_general_dilated" not in primitives(jaxpr):
        return None
    return _WITHOUT_YNN if _is_known("xla_cpu_experimental_ynn_fusion_type") else None


def is_traced(arguments: Any) -> bool:
    """Whether what is called with them becomes a part of another program.

    Args:
        arguments: any tree.
    """
    # Under `jax.jit` an array may come from outside; what is made there is traced in any case.
    leaves = [jnp.zeros(()), *jax.tree.leaves(arguments)]
    return any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def primitives(jaxpr: Jaxpr | ClosedJaxpr) -> Iterator[str]:
    """The names of all primitives in a jaxpr, those of inner jaxprs included.

    Args:
        jaxpr: what `jax.make_jaxpr` gives: a `ClosedJaxpr` before JAX 0.11, a `Jaxpr` since.
    """
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for inner in jaxprs_in_params(equation.params):
            yield from primitives(inner)


@functools.cache
def _is_known(option: str) -> bool:
    """Whether this version of XLA takes an option; one that it does not is an error."""
    try:
        jax.jit(jnp.negative, compiler_options={option: ""}).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
