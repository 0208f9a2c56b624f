"""Gemma 2B in its real sizes, to see what a plan says of it, and for a GPU of 80 GB to train.

The text is the one that every Python has; `--config.data.path=FILE` and
`--config.data.tokenizer=gemma-2b/tokenizer.json` name yours.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "gemma_2b",
            "precision": "bfloat16",
            # 53 GiB in all; twice the rows would be 64, and what kernels work in comes on top.
            "data": {"name": "text", "path": None, "length": 2048, "batch_size": 4},
            "model": {
                "name": "decoder",
                "family": "gemma",
                # config.json of google/gemma-2b
                "vocab_size": 256_000,
                "width": 2048,
                "layers": 18,
                "heads": 8,
                "kv_heads": 1,
                "head_dim": 256,
                "hidden": 16_384,
                "tied": True,
                "max_length": 8192,
                "remat": "dots",
            },
            "loss": {"name": "next_token"},
            "optimizer": {"name": "adamw", "learning_rate": 2e-4, "weight_decay": 0.1},
            "train": {"epochs": 1},
        },
    )
