"""A GRU that tells good reviews of films from bad ones, in Korean, character by character.

It reads data/nsmc/nsmc_sample.tsv, 18,000 rows of the NSMC (e9t/nsmc on GitHub) with the columns
document and label. Elsewhere: `--config.data.root=DIR --config.data.path=FILE`. Any table of texts
and classes will do, in any script: `--config.data.field=NAME --config.data.label=NAME`.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "nsmc_gru",
            "data": {
                "name": "labelled_text",
                "root": "data",
                "path": "nsmc/nsmc_sample.tsv",
                "field": "document",
                "tokenizer": "characters",
                "length": 80,
                "batch_size": 64,
            },
            # Which characters the training texts have depends on the seed; there is room for all.
            "model": {
                "name": "gru",
                "vocabulary": 2048,
                "padding_token": 0,
                "embedding": 48,
                "width": 64,
                "bidirectional": True,
            },
            "optimizer": {"learning_rate": 2e-3, "weight_decay": 0.01, "clip_norm": 1.0},
            "train": {"epochs": 3},
        },
    )
