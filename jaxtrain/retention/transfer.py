"""What a matrix of scores says of forgetting, as the literature defines it.

    average_accuracy(r), backward_transfer(r), forgetting(r), forward_transfer(r)   # [...]
    general_ability(untrained)                                                      # [...]

Pure functions of `r` `[..., T + 1, T]`: R[k, j] is the score on task j after phase k, and k = 0 is
the base model. So one call does for the scores themselves and for thousands of resamples of them.

Axes: T phases and as many tasks, G untrained suites.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxtrain.errors import DataError


def average_accuracy(r: np.ndarray) -> np.ndarray:
    """ACC = 1/T sum_j R[T, j]: how good the model is in the end at what it was trained on.

    >>> average_accuracy(np.array([[0.2, 0.1], [0.9, 0.2], [0.5, 0.7]])).item()
    0.6
    """
    return np.asarray(r[..., _phases(r, least=1), :].mean(-1))


def backward_transfer(r: np.ndarray) -> np.ndarray:
    """BWT = 1/(T-1) sum_{j<T} (R[T, j] - R[j, j]); below 0 is forgetting (GEM, arXiv:1706.08840).

    >>> backward_transfer(np.array([[0.2, 0.1], [0.9, 0.2], [0.5, 0.7]])).item()
    -0.4
    """
    phases = _phases(r, least=2)
    earlier = np.arange(phases - 1)
    return np.asarray((r[..., phases, earlier] - r[..., earlier + 1, earlier]).mean(-1))


def forgetting(r: np.ndarray) -> np.ndarray:
    """F = 1/(T-1) sum_{j<T} (max_{k<T} R[k, j] - R[T, j]) (Chaudhry et al., arXiv:1801.10112).

    The best of the rows before the last, the base model's among them, which the paper does not
    have. NaN, a row that was not evaluated, is never the best.

    >>> forgetting(np.array([[0.2, 0.1], [0.9, 0.2], [0.5, 0.7]])).item()
    0.4
    """
    phases = _phases(r, least=2)
    before = r[..., :phases, : phases - 1]
    best = np.where(np.isnan(before), -np.inf, before).max(-2)
    return np.asarray((best - r[..., phases, : phases - 1]).mean(-1))


def forward_transfer(r: np.ndarray) -> np.ndarray:
    """FWT = 1/(T-1) sum_{j>1} (R[j-1, j] - R[0, j]): what came of a task before its own phase.

    Against the base model; GEM compares with a model of random weights.

    >>> round(forward_transfer(np.array([[0.2, 0.1], [0.9, 0.2], [0.5, 0.7]])).item(), 12)
    0.1
    """
    later = np.arange(1, _phases(r, least=2))
    return np.asarray((r[..., later, later] - r[..., 0, later]).mean(-1))


def general_ability(untrained: np.ndarray) -> np.ndarray:
    """The mean of R[T, g] - R[0, g] over suites that no phase trains (TRACE, arXiv:2310.06762).

    Args:
        untrained: `[..., T + 1, G]`.
    """
    if not untrained.shape[-1]:
        raise DataError("general ability: expected at least one untrained suite, found none")
    return np.asarray((untrained[..., -1, :] - untrained[..., 0, :]).mean(-1))


def _phases(r: np.ndarray, *, least: int) -> int:
    """T."""
    phases = r.shape[-1]
    if r.shape[-2] != phases + 1 or phases < least:
        raise DataError(
            f"scores: expected [..., T + 1, T] with T of at least {least}, found {r.shape}"
        )
    return phases


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "average_accuracy": average_accuracy,
    "backward_transfer": backward_transfer,
    "forgetting": forgetting,
    "forward_transfer": forward_transfer,
    "general_ability": general_ability,
}
"""Each by its name in a report."""
