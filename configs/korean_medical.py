"""Three phases of LoRA on one small decoder of Gemma's shape: Korean, medicine, questions.

What it learns are made-up facts, a key and its value, so that what it knows and what it forgets can
be counted; the base has learnt such facts of another kind before, and some plain text that every
Python has. Nothing is downloaded. After each phase all of them are asked for, and the report says
what was forgotten: nothing protects it here. `--config.phases.medical.replay.share=0.3`
and `--config.phases.medical.lora.protect.previous_kl=1` are two of the things that do.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge

LENGTH = 96
LORA = {"rank": 16, "alpha": 32.0}


def facts(domain: str) -> dict:
    return {"name": "facts", "domain": domain, "count": 48, "length": LENGTH}


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "korean_medical",
            "data": {"batch_size": 4, "eval_batch_size": 16},
            "model": {
                "name": "decoder",
                "family": "gemma",
                "width": 64,
                "layers": 2,
                "heads": 4,
                "kv_heads": 1,
                "head_dim": 16,
                "hidden": 192,
                "max_length": LENGTH,
            },
            "loss": {"name": "next_token"},
            "optimizer": {"learning_rate": 4e-3, "clip_norm": 1.0},
            "schedule": {"name": "constant"},
            "train": {"epochs": 80},
            "checkpoint": {"every_epochs": 20, "monitor": "train/loss"},
            "base": {
                "data": {
                    "name": "mixture",
                    "share": 0.5,
                    "parts": {
                        "general": facts("general"),
                        # Other facts, so that it has read Hangul: of a token that it never saw
                        # neither embedding nor head would say anything, and no adapter is theirs.
                        "hangul": {**facts("korean"), "facts_seed": 1},
                        "text": {"name": "text", "tokenizer": "bytes", "length": LENGTH},
                    },
                },
            },
            "phases": {
                name: {"data": facts(name), "lora": LORA}
                for name in ("korean", "medical", "questions")
            },
            "retention": {
                "untrained": {
                    "general": facts("general"),
                    "text": {
                        "name": "text",
                        "tokenizer": "bytes",
                        "length": LENGTH,
                        "test_fraction": 0.05,
                    },
                }
            },
        },
    )
