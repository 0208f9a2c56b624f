"""How much each class counts in a loss: numbers from the user, or from how many rows it has.

    weights_by_class((1.0, 9.0), None)                       # as they are
    weights_by_class("balanced", (900, 100))                 # rows / (classes * rows of the class)

"balanced" is scikit-learn's, after King and Zeng (2001), Logistic regression in rare events data.

Axes: K classes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pydantic

from jaxtrain.errors import ConfigError

ClassWeights: TypeAlias = Literal["balanced"] | tuple[Annotated[float, pydantic.Field(ge=0)], ...]
"""As a config gives them."""


def weights_by_class(
    wanted: ClassWeights | None, counts: tuple[int, ...] | None, *, ignored: int | None = None
) -> np.ndarray | None:
    """The weight of each class `[K]` float32; None where there are none.

    Args:
        wanted: K numbers, or "balanced"; None for none.
        counts: how many training rows each class has, K numbers; "balanced" needs them. A class
            without rows gets the weight 0.
        ignored: the class whose rows do not count, where there is one.

    Raises:
        ConfigError: "balanced" without counts; weights that weigh nothing, or are none.

    >>> weights_by_class("balanced", (30, 10, 0)).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        if wanted != "balanced":
            raise ConfigError(
                f"class_weights: expected 'balanced' or a number a class, found {wanted!r}"
            )
        if counts is None:
            raise ConfigError(
                "class_weights: 'balanced' needs to know how many training rows each class has "
                "(class_counts), and rows that are not in memory are not counted; give a number "
                "for each class"
            )
        rows = np.array(counts, np.float64)
        if ignored is not None and 0 <= ignored < len(rows):
            rows[ignored] = 0  # they do not count, so they have no share either
        there = rows > 0
        fair = rows.sum() / max(int(there.sum()), 1)
        weights = np.where(there, fair / np.where(there, rows, 1.0), 0.0)
    else:
        weights = np.array(wanted, np.float64)
    if weights.ndim != 1 or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ConfigError(
            f"class_weights: expected finite numbers of at least 0, one a class, found {wanted!r}"
        )
    if not weights.any():
        raise ConfigError(f"class_weights: {wanted!r} weighs no class at all; nothing would count")
    return weights.astype(np.float32)


def refuse_other_count(by_class: np.ndarray, logits: Any) -> None:
    """Raise a `ConfigError` where there are not as many weights as classes in logits [..., K]."""
    if len(by_class) != logits.shape[-1]:
        raise ConfigError(
            f"class_weights: expected a number for each of the {logits.shape[-1]} classes, "
            f"found {len(by_class)}"
        )
