"""A Llama of 1.8 M parameters that writes character by character: Shakespeare, or any text.

`--config.data.root=DIR --config.data.path=input.txt` names the text. Without them it is one that
every Python has: the names of Unicode's characters.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "char_lm",
            "data": {
                "name": "text",
                "tokenizer": "characters",
                "length": 128,
                "batch_size": 32,
                "test_fraction": 0.05,
            },
            "model": {"name": "decoder", "width": 192, "layers": 4, "heads": 6, "tied": True},
            "loss": {"name": "next_token"},
            "optimizer": {"learning_rate": 3e-3, "weight_decay": 0.1, "clip_norm": 1.0},
            "schedule": {"name": "cosine", "warmup_steps": 100},
            "train": {"epochs": 5},
        },
    )
