"""What must fit before a run: the loss to the data, and what a model puts out to both.

    refuse_other_loss(data)                                  # mean_squared_error for classes
    refuse_other_outputs(data, outputs, batch, model="mine") # 13 outputs for 10 classes
    with fitting("model 'mine'"):                            # whatever it raises while it is traced
        jax.eval_shape(step, state, batch)

A model of 13 outputs for 10 classes would train without a word, one of 3 would make NaN. Only what
jaxtrain's own losses and metrics would read is judged: a loss or metrics of one's own may read the
outputs in other ways.

Axes: B batch, D columns of a target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from jaxtrain.blame import in_a_line, place_of
from jaxtrain.data import LabelledTexts, Rows
from jaxtrain.data.text.labelled_text_reader import PADDING
from jaxtrain.errors import ConfigError, JaxtrainError, WorkerError
from jaxtrain.metrics import is_host_metric, refuse_misfit
from jaxtrain.models import MODELS
from jaxtrain.run.data import RunData
from jaxtrain.step import LOSSES, cross_entropy, focal, mean_squared_error, next_token

_FOR = {
    "classification": "cross_entropy",
    "regression": "mean_squared_error",
    "language": "next_token",
}
_OF: dict[str, tuple[Any, ...]] = {
    "classification": (cross_entropy, focal),
    "regression": (mean_squared_error,),
    "language": (next_token,),
}
_AS = {"classification": "a classification", "regression": "a regression", "language": "language"}
_COUNTED = {
    "classification": "classes",
    "regression": "columns of the target",
    "language": "tokens in their vocabulary",
}


def refuse_other_loss(data: RunData) -> None:
    """See that the config's loss is for what there is to learn, where it reads the labels.

    Raises:
        ConfigError: it says which loss to take.
    """
    section, task = data.config.loss, data.train.task
    chosen = LOSSES[section.name]
    other = [kind for kind, own in _OF.items() if chosen in own and kind != task]
    if other and getattr(section, "labels", "labels") == "labels":
        raise ConfigError(
            f"loss.name: {section.name!r} is for {_AS[other[0]]}, but the data "
            f"{data.train.name!r} are {_AS[task]}; set loss.name={_FOR[task]}"
        )


def refuse_other_vocabulary(data: RunData) -> None:
    """See that a catalogue's model knows all tokens of labelled texts, and which is padding.

    Raises:
        ConfigError: it says what to set.
    """
    rows, model = data.train, data.config.model
    if not isinstance(rows, LabelledTexts):
        return
    if not hasattr(model, "padding_token"):
        if MODELS[model.name].__module__.startswith(MODELS.__class__.__module__.split(".")[0]):
            raise ConfigError(
                f"model.name: {model.name!r} would take the tokens of {rows.name!r} for numbers; "
                "lstm, gru and encoder read tokens"
            )
        return
    vocabulary, padding = getattr(model, "vocabulary", None), model.padding_token
    if vocabulary is None or vocabulary < rows.vocabulary or padding != PADDING:
        raise ConfigError(
            f"model: the tokens of {rows.name!r} are 0 to {rows.vocabulary - 1}, of which "
            f"{PADDING} is padding, but model.vocabulary is {vocabulary} and model.padding_token "
            f"{padding}; set model.vocabulary={rows.vocabulary}, or more, and "
            f"model.padding_token={PADDING}"
        )


def refuse_other_outputs(
    data: RunData, outputs: Any, batch: Mapping[str, Any], *, model: str
) -> None:
    """See that a model puts out a number for each class, column of the target, or token.

    Args:
        data: what is to be learnt.
        outputs: shapes of what the model gives for the batch.
        batch: shapes of a batch.
        model: what to call it.

    Raises:
        ConfigError: with the model, what it gives and what is expected.
    """
    config, train = data.config, data.train
    ours = any(LOSSES[config.loss.name] in own for own in _OF.values())
    if not ours and config.metrics is not None:
        return  # all that reads them is the user's
    if getattr(config.loss, "labels", "labels") != "labels":
        return
    head = "logits" if train.task == "language" else getattr(config.loss, "outputs", None)
    if head is not None and isinstance(outputs, Mapping) and head in outputs:
        outputs = outputs[head]
    if not jax.tree_util.all_leaves([outputs]):
        return  # several, of which the loss or a metric says what it misses
    found, wanted = np.shape(outputs), train.num_outputs
    if not _fits(found, train, np.shape(batch.get("labels", 0))):
        of = _COUNTED[train.task]
        raise ConfigError(
            f"{model}: expected outputs [..., {wanted}], as the data "
            f"{train.name!r} have {wanted} {of}; found {list(found)}. A model of one's own is "
            "given `num_outputs`, before the `*` of its function"
        )


def _fits(found: tuple[int, ...], train: Rows, labels: tuple[int, ...]) -> bool:
    if train.task == "regression" and found in (labels, (*labels, 1)):
        return True  # [B] for one column; steps of a series
    if train.task == "language":
        return found == (*labels, train.num_outputs)
    return len(found) > 1 and found[-1] == train.num_outputs


@contextmanager
def fitting(what: str) -> Iterator[None]:
    """Whatever code of the user's raises while it is traced comes out as what does not fit."""
    try:
        yield
    except (MemoryError, WorkerError):
        raise
    except JaxtrainError as error:
        raise ConfigError(f"{what}: {error}") from error
    except (Exception, SystemExit) as error:
        place = place_of(error)
        raise ConfigError(
            f"{what}: {in_a_line(error)}" + (f" ({place})" if place else "")
        ) from error


def refuse_unread(metric: Any, output: Mapping[str, Any]) -> None:
    """See that a metric can read outputs of such shapes; on the host, where it can say so."""
    if is_host_metric(metric):
        refuse_misfit(metric, output)
    else:
        jax.eval_shape(metric.update, jax.eval_shape(metric.empty), output)
