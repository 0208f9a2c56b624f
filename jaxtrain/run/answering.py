"""Questions of a run, put to its model.

found = answers(trained.reader(), trained.model, trained.state.variables(), rows)
found.figures()
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from jaxtrain.batch import Batch
from jaxtrain.data import Question, QuestionRows, TextReader
from jaxtrain.data.text.documents import Piece
from jaxtrain.data.text.encoding import encode
from jaxtrain.errors import ConfigError
from jaxtrain.generation import MultipleChoice, TokenQuestion, multiple_choice
from jaxtrain.models import Model
from jaxtrain.models.model import Rngs, Variables
from jaxtrain.step import forward

logger = logging.getLogger(__name__)


def answers(
    reader: Any,
    model: Model,
    variables: Variables,
    rows: QuestionRows,
    *,
    max_length: int | None = None,
    precision: str = "float32",
) -> MultipleChoice:
    """Which choices the model takes to be the likeliest.

    Args:
        reader: of the run, a `TextReader`.
        model: a language model, whose outputs have `nll`.
        variables: its.
        rows: of the questions.
        max_length: how many tokens of question and choice the model is meant for; None where that
            is not known. Of a longer question the end is asked, with a warning, and counted.
        precision: the policy that the model is run under, as it was in training.

    Raises:
        ConfigError: the reader has no tokenizer, or a choice alone is too long.
        DataError: a record is no question any more, a prompt is empty and no token begins a text,
            or the model has no `nll`.
        NonFiniteError: what the model says is NaN or Inf.
    """
    if not isinstance(reader, TextReader):
        raise ConfigError(f"questions want a reader with a tokenizer, found {reader!r:.80}")
    asked = (in_tokens(question, reader) for question in rows.questions())
    found = multiple_choice(
        _under(model, precision), variables, asked, max_length=max_length, too_long="cut"
    )
    if found.cut:
        logger.warning(
            "%d of %d questions have more tokens than the model is meant for, max_length=%d, and "
            "were asked without their beginning (questions_cut)",
            found.cut,
            len(found.answered),
            max_length,
        )
    return found


@functools.lru_cache(maxsize=8)  # the same function each time, so that it is compiled once
def _under(model: Model, precision: str) -> Model:
    run = forward(model, precision)

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        return run(variables, batch, train=train, rngs=rngs).outputs, {}

    return Model(init=model.init, apply=apply)


def in_tokens(question: Question, reader: TextReader) -> TokenQuestion:
    """A question as its model has learnt to read it.

    Prompt and choice are encoded as the one text that they are. Where some choice changes the
    prompt's last tokens, those are judged with each choice, so that all are judged from one place
    of the text on. The token that ends a text is no part of a choice. The length of a choice is how
    many characters it has without the blanks around it, as `acc_norm` of lm-evaluation-harness
    counts.
    """
    pieces = [Piece(choice, prompt=question.prompt) for choice in question.choices]
    encoded = list(encode(reader.tokenizer, pieces, bos=reader.bos, eos=None, prompted=True))
    shared = min(
        int(one.counts.argmax()) if one.counts is not None and one.counts.any() else len(one.tokens)
        for one in encoded
    )
    return TokenQuestion(
        encoded[0].tokens[:shared],
        [one.tokens[shared:] for one in encoded],
        question.answer,
        lengths=[len(choice.strip()) or len(choice) for choice in question.choices],
    )
