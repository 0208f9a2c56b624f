"""Llama 3.2 1B in its real sizes, to see what a plan says of it, and for a GPU of 80 GB to train.

The text is the one that every Python has; `--config.data.path=FILE` and
`--config.data.tokenizer=Llama-3.2-1B/tokenizer.json` name yours.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "llama_1b",
            "precision": "bfloat16",
            # 44 GiB in all, beside what kernels work in.
            "data": {"name": "text", "path": None, "length": 2048, "batch_size": 16},
            "model": {
                "name": "decoder",
                "family": "llama",
                # config.json of meta-llama/Llama-3.2-1B
                "vocab_size": 128_256,
                "width": 2048,
                "layers": 16,
                "heads": 32,
                "kv_heads": 8,
                "head_dim": 64,
                "hidden": 8192,
                "tied": True,
                "rope_theta": 500_000.0,
                "rope_scaling": {
                    "factor": 32.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
                "max_length": 131_072,
                "remat": "dots",
            },
            "loss": {"name": "next_token"},
            "optimizer": {"name": "adamw", "learning_rate": 3e-4, "weight_decay": 0.1},
            "train": {"epochs": 1},
        },
    )
