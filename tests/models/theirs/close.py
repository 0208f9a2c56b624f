"""How far arrays may be from others, as a share of the largest number."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def close(ours: Any, theirs: Any, share: float, *, least: float = 0.0) -> None:
    """An array, ours and PyTorch's; `least` is the smallest number to count as the largest."""
    ours, theirs = (np.asarray(x.detach() if hasattr(x, "detach") else x) for x in (ours, theirs))
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all()
    apart = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), least)
    assert apart < share, f"apart by {apart} of the largest number"


def all_close(ours: Any, theirs: Any, share: float) -> None:
    """Each array of a tree, by its own largest number.

    Where a gradient is 0 but for rounding, that of the tree says what rounding is.
    """
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(theirs))
    jax.tree.map(lambda a, b: close(a, b, share, least=1e-3 * largest), ours, theirs)
