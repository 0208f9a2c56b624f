"""Reading from the device; and a word to the handler that does so in every iteration."""

from __future__ import annotations

import logging
from typing import Any

import jax
import numpy as np

from jaxtrain.engine.handlers import Handler

logger = logging.getLogger(__name__)

_IN_A_ROW = 20


def on_host(tree: Any) -> Any:
    """The arrays of a tree on the host; waits for them."""
    if jax.default_backend() == "cpu":
        # They are there already: `device_get` takes ten times as long to find that out.
        return jax.tree.map(np.asarray, tree)
    return jax.device_get(tree)


class Reads:
    """Counts, for each handler, the iterations in a row in which it read the output."""

    def __init__(self) -> None:
        self._last: dict[Handler, tuple[int, int]] = {}
        self._told: set[Handler] = set()

    def note(self, handler: Handler | None, iteration: int) -> None:
        """`handler` read the output of `iteration`; None is a reader outside of any handler."""
        if handler is None or handler in self._told:
            return
        last, in_a_row = self._last.get(handler, (-1, 0))
        if iteration == last:
            return
        in_a_row = in_a_row + 1 if iteration == last + 1 else 1
        self._last[handler] = iteration, in_a_row
        if in_a_row == _IN_A_ROW:
            self._told.add(handler)
            logger.warning(
                "handler %s reads the output in every iteration: each one is a dispatch of its "
                "own and is waited for. Attach it with every=, or read the window that "
                "engine.track() gives now and then.",
                handler.name,
            )
