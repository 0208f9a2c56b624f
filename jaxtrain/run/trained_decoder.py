"""The decoder of a checkpoint, for those who can use no other model.

config, reader = decoder_of(Trained.load("runs/char_lm/seed0-1a2b3c4d"))
"""

from __future__ import annotations

from jaxtrain.data import TextReader
from jaxtrain.errors import ConfigError
from jaxtrain.models.causal_lm import config_of
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.run.trained import Trained


def decoder_of(trained: Trained) -> tuple[DecoderConfig, TextReader | None]:
    """Its sizes, and what reads its text; None where its data are tokens without a tokenizer.

    Raises:
        ConfigError: the model is no decoder.
        DataError: the tokenizer's file is another now.
    """
    model = trained.config.model
    if model.name != "decoder":
        raise ConfigError(
            f"{trained.path}: its model is {model.name!r}; expected a decoder, a language model"
        )
    reader = trained.reader()
    config = config_of(model, trained.learnt.num_outputs)
    return config, reader if isinstance(reader, TextReader) else None
