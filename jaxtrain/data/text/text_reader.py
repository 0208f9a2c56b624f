"""What a run over text has fitted: its tokenizer, and what begins and ends a document.

    reader = TextReader(tokenizer, bos=None, eos=2)
    reader.state()                               # part of each checkpoint
    READERS.build(config.data, state=saved).tokenizer        # in another process

The characters of a training text are kept with the run; of a tokenizer that has a file, which one
it was. Generation and evaluation take the tokenizer from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.data.reader import READERS, NewRows
from jaxtrain.data.text.tokenizer import Tokenizer, special_id
from jaxtrain.data.text.tokenizers import restored
from jaxtrain.errors import ConfigError, DataError


class TextReader:
    """The tokenizer of a run.

    Args:
        tokenizer: makes tokens of text.
        bos: the token that begins each document; None for none.
        eos: the token that ends each document, likewise.
    """

    def __init__(self, tokenizer: Tokenizer, *, bos: int | None, eos: int | None) -> None:
        self.tokenizer = tokenizer
        self.bos = bos
        self.eos = eos

    def state(self) -> Mapping[str, Any]:
        """The tokenizer's."""
        return {"tokenizer": self.tokenizer.state()}

    def read(self, path: Path) -> NewRows:
        """Of text there is nothing to predict row by row.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{path}: a model of language predicts no rows: it goes on with a prompt, or says how "
            "likely a text is; evaluate it on a set of its data"
        )


def tokenizer_of(state: Any, name: str, *, root: str) -> Tokenizer:
    """The tokenizer that a reader's state knows.

    Args:
        state: what `TextReader.state` gave.
        name: the option `tokenizer`.
        root: the directory of its file.

    Raises:
        DataError: it is something else, or another tokenizer.
    """
    if not isinstance(state, Mapping) or "tokenizer" not in state:
        raise DataError(f"the reader of text: expected a tokenizer, found {state!r:.200}")
    return restored(state["tokenizer"], name, root=root)


@READERS.register("instructions")
@READERS.register("multiple_choice")
@READERS.register("text")
def text_reader(
    state: Mapping[str, Any], *, tokenizer: str, root: str, bos: bool | str, eos: bool | str
) -> TextReader:
    """The reader of a trained model, from what it said of itself; the options are the source's."""
    made = tokenizer_of(state, tokenizer, root=root)
    return TextReader(
        made,
        bos=special_id(made, bos, option="bos"),
        eos=special_id(made, eos, option="eos"),
    )
