"""What the compiler is told besides the step.

    jax.jit(step, compiler_options=compiler_options(jaxpr, "cpu"))

Like the form, it follows from the step and the platform alone: it may change bits.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxtrain.engine.form import primitives

# XLA's CPU backend hands convolutions and products to the YNN library, whose convolutions take
# half as long again as Eigen's, and twice as long or more for the gradient of a kernel
# (XLA of jaxlib 0.10.2; in that of 0.12.0 gradients still take half as long again). Nothing in the
# list of what YNN gets leaves all to Eigen.
_WITHOUT_YNN = {"xla_cpu_experimental_ynn_fusion_type": ""}


def compiler_options(jaxpr: Jaxpr | ClosedJaxpr, platform: str) -> dict[str, Any] | None:
    """Options for `jax.jit`, or None.

    Args:
        jaxpr: the step's, as `jax.make_jaxpr` gives it.
        platform: "cpu", "gpu" or "tpu".
    """
    if platform != "cpu" or "conv_general_dilated" not in primitives(jaxpr):
        return None
    return _WITHOUT_YNN if _is_known("xla_cpu_experimental_ynn_fusion_type") else None


@functools.cache
def _is_known(option: str) -> bool:
    """Whether this version of XLA takes an option; one that it does not is an error."""
    try:
        jax.jit(jnp.negative, compiler_options={option: ""}).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
