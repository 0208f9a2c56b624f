"""How sure a figure is: the paired bootstrap, over the examples of each task.

    drawn = resample([base, after_1, after_2], task="facts", seed=0, resamples=4000)
    score_interval(change, drawn.score[:, 2] - drawn.score[:, 1], examples=len(base))

One draw takes the same examples for all rows, so that a difference of two rows is a difference on
the same questions. The plain bootstrap is far too sure of few examples: of one question that got
lost it makes the interval [-1, -1], and where all answers are right, one without any width. Two
well-known corrections are part of it:

- Four made-up units are drawn with the examples, two right and two wrong in each row, in an order
  that each draw shuffles: "plus four", as Agresti and Coull (1998) do it for a proportion, and
  Bonett and Price (2012) about so for a paired difference. They weigh one unit each, so among
  thousands of tokens they are nothing.
- The ends lie further out, as Student's t is wider than the normal distribution: quantiles of
  scores (the expanded percentile interval of Hesterberg 2015), multiples of the spread of losses.

Axes: K rows, n examples, S resamples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.scores import TaskScores

LEVEL = 0.95
_MADE_UP = (1.0, 1.0, 0.0, 0.0)
# Counts that are held at a time: 16 MiB.
_CHUNK = 2**21


class Resampled(NamedTuple):
    """Means over drawn examples.

    Attributes:
        score: `[S, K]`, the made-up units with them.
        nll: `[S, K]`, without any.
    """

    score: np.ndarray
    nll: np.ndarray


def resample(rows: Sequence[TaskScores], *, task: str, seed: int, resamples: int) -> Resampled:
    """Draw the examples of a task anew, S times, each time the same for all rows.

    What is drawn depends on the seed and the name of the task, and not on the order of the
    examples, nor on which other tasks there are.

    Args:
        rows: of the same examples.
        task: its name.
        seed: of the draws.
        resamples: S.

    Raises:
        ConfigError: the seed is below 0, or `resamples` too small for an interval.
    """
    if seed < 0:
        raise ConfigError(f"seed: expected 0 or more, found {seed}")
    if resamples < 100:
        raise ConfigError(f"resamples: expected at least 100, found {resamples}")
    weight, score, nll = _in_one_order(rows)
    source = np.random.SeedSequence([seed, *task.encode()])
    of_scores, of_nlls, of_units = (np.random.default_rng(each) for each in source.spawn(3))
    number, units = len(weight), len(_MADE_UP)
    # Row by row, so that a row more changes nothing of those before it: [K, S, 4].
    made_up = np.stack([of_units.permuted(np.tile(_MADE_UP, (resamples, 1)), axis=1) for _ in rows])
    drawn = Resampled(np.empty((resamples, len(rows))), np.empty((resamples, len(rows))))
    step = max(1, _CHUNK // (number + units))
    for first in range(0, resamples, step):
        part = slice(first, min(first + step, resamples))
        counts = _counts(of_scores, number + units, part.stop - part.start)
        real, invented = counts[:, :number], counts[:, number:]
        right = real @ (score * weight).T + np.einsum("su,ksu->sk", invented, made_up[:, part])
        drawn.score[part] = right / (real @ weight + invented.sum(1))[:, None]
        counts = _counts(of_nlls, number, part.stop - part.start)
        drawn.nll[part] = counts @ (nll * weight).T / (counts @ weight)[:, None]
    return drawn


def score_interval(value: float, drawn: np.ndarray, *, examples: int) -> Estimate:
    """A figure made of scores, with its interval: quantiles of the resamples.

    Args:
        value: the figure.
        drawn: `[S]`, the same figure of the resamples.
        examples: of the task that has the fewest of those that the figure is made of.
    """
    tail = _normal(-_wider(examples))
    low = float(np.quantile(drawn, tail, method="lower"))
    high = float(np.quantile(drawn, 1 - tail, method="higher"))
    # The units pull towards the middle, so with few examples the figure may lie outside.
    return Estimate(value, min(low, value), max(high, value))


def loss_interval(value: float, drawn: np.ndarray, *, examples: int) -> Estimate:
    """A figure made of losses, which have no bounds: so many times the spread of the resamples.

    Quantiles would not do, since no resample is beyond the smallest and the largest of a few
    losses. Of one example nothing is known.
    """
    half = _wider(examples) * float(drawn.std()) if examples > 1 else math.inf
    return Estimate(value, value - half, value + half)


def _wider(examples: int) -> float:
    """How many standard deviations of the resamples are to each side: 1.96 of many examples."""
    from scipy.special import stdtrit

    if examples == 1:
        return math.inf
    t = float(stdtrit(examples - 1, 1 - (1 - LEVEL) / 2))
    # Resamples of n examples spread by so much less than the mean of n does.
    return t * math.sqrt(examples / (examples - 1))


def _normal(deviations: float) -> float:
    """The share of the normal distribution that is below so many deviations."""
    return math.erfc(-deviations / math.sqrt(2)) / 2


def _counts(rng: np.random.Generator, number: int, draws: int) -> np.ndarray:
    """How often each of so many is taken in so many draws of as many: `[draws, number]`."""
    return rng.multinomial(number, np.full(number, 1 / number), size=draws)


def _in_one_order(rows: Sequence[TaskScores]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight `[n]`, score and nll `[K, n]`, the examples sorted by them, the first row first."""
    keys = [rows[0].weight, *(values for row in rows for values in (row.score, row.nll))]
    order = np.lexsort(keys[::-1])
    score = np.stack([row.score for row in rows])[:, order]
    nll = np.stack([row.nll for row in rows])[:, order]
    return rows[0].weight[order], score, nll
