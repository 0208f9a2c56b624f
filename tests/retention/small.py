"""Scores with hand-picked means, and a matrix of them, for the tests of this room."""

from __future__ import annotations

import numpy as np

from jaxtrain.retention import RetentionMatrix, TaskScores

# R[k, j]; of the four questions of each task so many are right.
TABLE = {
    "a": (1, 4, 2, 1),
    "b": (2, 1, 3, 2),
    "c": (0, 1, 2, 4),
    "text": (3, 3, 2, 2),
}
TASKS = ("a", "b", "c")


def questions(right: int, total: int = 4, *, nll: float = 1.0) -> TaskScores:
    """So many of so many are right, the first ones; the nll of each is a little more."""
    return TaskScores(np.arange(total) < right, nll + 0.01 * np.arange(total))


def drawn(seed: int, number: int, *, tokens: bool = False) -> TaskScores:
    """Scores by chance: of questions, or of rows of tokens."""
    rng = np.random.default_rng(seed)
    nll = rng.exponential(size=number)
    if not tokens:
        return TaskScores(rng.random(number) < 0.6, nll)
    # The weights belong to the examples, and are the same whatever the model says.
    weight = np.random.default_rng(0).integers(1, 50, number)
    return TaskScores(rng.random(number), nll, weight)


def matrix(phases: int = 3) -> RetentionMatrix:
    """`TABLE` as a matrix, nll of row k about 3 - k / 2."""
    rows = tuple(
        {name: questions(right[k], nll=3 - k / 2) for name, right in TABLE.items()}
        for k in range(phases + 1)
    )
    return RetentionMatrix(
        tasks=TASKS, untrained=("text",), phases=("first", "second", "third"), rows=rows
    )
