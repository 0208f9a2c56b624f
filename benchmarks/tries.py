"""Rows a step and what a layer keeps: the first of several that fits into a device's memory.

first_that_fits([(8, "none"), (4, "full")], measure)      # measure(8, "none"), or (4, "full")
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.machine import is_out_of_memory


def first_that_fits(
    tries: Iterable[tuple[int, str]], measure: Callable[[int, Any], dict[str, Any]]
) -> dict[str, Any]:
    """What `measure` returns of the first that it has the memory for, and which that is.

    Args:
        tries: rows a step, and what a layer keeps for the backward pass.
        measure: returns figures. A `peak_bytes` among them is None where something was too large
            before: the highest is its.

    Raises:
        MemoryError: none fits; the text is that of JAX, so that whoever asks need not care.
    """
    too_large = []
    for batch, remat in tries:
        try:
            found = measure(batch, remat)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            too_large.append({"batch": batch, "remat": remat})
        else:
            if too_large and "peak_bytes" in found:
                found["peak_bytes"] = None
            return {"batch": batch, "remat": remat, **found, "too_large": too_large}
        gc.collect()  # what the error's frames held in circles
    raise MemoryError(f"RESOURCE_EXHAUSTED: none of these fits: {too_large}")
