"""Which form a run's dispatches take: one step each, or a loop of steps on the device.

    choose_form(jaxpr, "cpu")      # "single" where the step has a convolution, else "fused"

The two forms can differ in the last bits, so a run has one form, and a rule chooses it, never a
stopwatch: the same seed must give the same bits twice.
"""

from __future__ import annotations

from typing import Literal

from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxtrain.compiling import primitives

Form = Literal["single", "fused"]

FORMS: tuple[Form, ...] = ("single", "fused")

# Inside a loop XLA's CPU backend runs them on one thread, up to seven times slower (XLA #12868).
_SLOW_IN_A_CPU_LOOP = {"conv_general_dilated", "reduce_window_max", "reduce_window_sum"}


def choose_form(jaxpr: Jaxpr | ClosedJaxpr, platform: str) -> Form:
    """The form for a step.

    Args:
        jaxpr: the step's, as `jax.make_jaxpr` gives it.
        platform: "cpu", "gpu" or "tpu".
    """
    if platform == "cpu" and any(name in _SLOW_IN_A_CPU_LOOP for name in primitives(jaxpr)):
        return "single"
    return "fused"
