"""The decoder of a checkpoint, or why there is none. Real runs: `test_language_model.py`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxtrain.data import TextReader
from jaxtrain.errors import ConfigError
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.run.trained_decoder import decoder_of

SIZES = DecoderConfig.llama(vocab_size=9, width=8, layers=1, heads=2)


def trained(reader, name="decoder"):
    model = SimpleNamespace(
        name=name,
        family="llama",
        width=8,
        layers=1,
        heads=2,
        **dict.fromkeys(
            ("kv_heads", "head_dim", "hidden", "tied", "norm_eps", "rope_theta", "rope_scaling")
        ),
        max_length=None,
        vocab_size=None,
    )
    return SimpleNamespace(
        path=Path("run/checkpoints/00000001"),
        config=SimpleNamespace(model=model),
        learnt=SimpleNamespace(num_outputs=9),
        reader=lambda: reader,
    )


def test_sizes_and_what_reads_the_text():
    reader = object.__new__(TextReader)
    assert decoder_of(trained(reader)) == (SIZES, reader)


@pytest.mark.parametrize("reader", [None, object()])
def test_data_that_are_no_text_have_no_reader_of_it(reader):
    assert decoder_of(trained(reader)) == (SIZES, None)


def test_another_model_is_refused():
    with pytest.raises(ConfigError, match=r"run/.*00000001: its model is 'mlp'; expected a decod"):
        decoder_of(trained(None, name="mlp"))
