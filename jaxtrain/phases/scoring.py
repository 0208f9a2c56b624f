"""What a model says to the examples of a task, one by one.

    scores = score(model, variables, rows, reader=reader, config=config)       # TaskScores
    scores.mean()

Of questions the score is whether the likeliest choice is the right one, of classes whether the
likeliest is; of text it is the share of tokens that the model would have said.

Axes: B rows of a batch, L places, K classes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.batch import full_mask, row_mask
from jaxtrain.config import ExperimentConfig
from jaxtrain.data import QuestionRows, Rows
from jaxtrain.errors import ConfigError, NonFiniteError
from jaxtrain.models import Model
from jaxtrain.retention import Baseline, TaskScores
from jaxtrain.run.answering import answers
from jaxtrain.run.data import evaluation_loader
from jaxtrain.step import forward


def score(
    model: Model,
    variables: Mapping[str, Any],
    rows: Rows,
    *,
    reader: Any,
    config: ExperimentConfig,
    max_length: int | None = None,
) -> TaskScores:
    """How right a model is, example by example, in the order of the rows.

    Args:
        model: what is asked.
        variables: its.
        rows: of the task.
        reader: of the task's data, with the tokenizer that questions are asked in.
        config: of the task: its batches, and the precision of the model.
        max_length: the longest text that the model is meant for; None where that is not known.

    Raises:
        ConfigError: the task is one of regression, whose errors have no right or wrong.
        NonFiniteError: what the model says is NaN or Inf.
    """
    if isinstance(rows, QuestionRows):
        found = answers(
            reader, model, variables, rows, max_length=max_length, precision=config.precision
        )
        return TaskScores(
            score=[float(one.raw == one.answer) for one in found.answered],
            nll=[-one.log_likelihoods[one.answer] for one in found.answered],
        )
    if rows.task == "regression":
        raise ConfigError(
            f"{rows.name}: a retention report compares what is right; a regression has no right"
        )
    rate = _rates(model, config.precision, rows.task == "language")
    parts = []
    for batch in evaluation_loader(config, rows):
        right, nll, weight = (np.asarray(x, np.float64) for x in rate(variables, dict(batch)))
        there = weight > 0  # padding, and rows in which nothing is to be said
        parts.append([x[there] for x in (right, nll, weight)])
    right, nll, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not np.isfinite(nll).all():
        raise NonFiniteError(
            f"{rows.name}: what the model says of example {int((~np.isfinite(nll)).argmax())} is "
            "NaN or Inf"
        )
    return TaskScores(score=right, nll=nll, weight=weight)


def baseline(rows: Rows, config: ExperimentConfig) -> Baseline | None:
    """What whoever knows nothing scores: by chance, and by always saying the same.

    Args:
        rows: of the task; of text, whoever always says its commonest token.
        config: of the task, for its batches.

    Returns:
        None of rows whose labels nobody can count.
    """
    if isinstance(rows, QuestionRows):
        asked = list(rows.questions())
        return Baseline.of_answers(
            [question.answer for question in asked],
            choices=[len(question.choices) for question in asked],
        )
    if rows.task == "language":
        said = np.zeros(rows.num_outputs, np.int64)
        for batch in evaluation_loader(config, rows):
            tokens, mask = np.asarray(batch["labels"]), full_mask(batch)
            counted = tokens if mask is None else tokens[_over(mask, tokens) > 0]
            said += np.bincount(counted.ravel(), minlength=len(said))
        return Baseline(majority=int(said.max()) / int(said.sum()), random=1 / len(said))
    labels = getattr(rows, "labels", None)
    if rows.task != "classification" or labels is None:
        return None
    return Baseline.of_answers(np.asarray(labels).tolist(), choices=rows.num_outputs)


def _over(mask: Any, labels: np.ndarray) -> np.ndarray:
    """A mask `[B]` or `[B, L]` of the shape of labels `[B, L]`."""
    mask = np.asarray(mask)
    return np.broadcast_to(
        mask.reshape(mask.shape + (1,) * (labels.ndim - mask.ndim)), labels.shape
    )


@functools.lru_cache(maxsize=8)  # the same function each time, so that it is compiled once
def _rates(model: Model, precision: str, language: bool) -> Any:
    run = forward(model, precision)

    @jax.jit
    def rate(variables: Any, batch: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Of each row `[B]`: the share that is right, its nll, and how many there are to say."""
        outputs = run(variables, batch, train=False, rngs={}).outputs
        if language:
            return _of_text(outputs, batch)
        return _of_classes(outputs, batch)

    return rate


def _of_text(outputs: Any, batch: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    mask = full_mask(batch)
    counts = jnp.ones(outputs["nll"].shape) if mask is None else (mask > 0)
    counts = jnp.broadcast_to(counts, outputs["nll"].shape)
    weight = counts.sum(axis=1)

    def mean(values: jax.Array) -> jax.Array:
        return jnp.where(counts > 0, values, 0).sum(axis=1) / jnp.maximum(weight, 1)

    return mean(outputs["correct"]), mean(outputs["nll"]), weight


def _of_classes(outputs: Any, batch: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    if not hasattr(outputs, "ndim") or outputs.ndim != 2:
        raise ConfigError("a retention report wants a model that puts out one array, [B, K]")
    labels, rows = batch["labels"], row_mask(batch)
    logs = jax.nn.log_softmax(outputs.astype(jnp.float32))
    nll = -jnp.take_along_axis(logs, labels[:, None], axis=1)[:, 0]
    right = (outputs.argmax(axis=-1) == labels).astype(jnp.float32)
    return right, nll, jnp.ones(len(labels)) if rows is None else rows
