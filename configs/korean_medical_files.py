"""As korean_medical.py, on real files: Korean reviews, then medical questions as text, then as
questions with four answers.

It reads data/tiny_shakespeare/input.txt (karpathy/char-rnn on GitHub), on which the base is
trained; data/nsmc/nsmc_sample.tsv, a sample of NSMC (e9t/nsmc on GitHub) with a column "document";
and data/medmcqa/medmcqa_validation.jsonl.gz, the validation set of MedMCQA with "question",
"options", one a line, and "answer". They lie elsewhere with `--config.data.root=DIR`. Tokens are
bytes, so that any alphabet can be learnt.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge

LENGTH = 256
LORA = {"rank": 16, "alpha": 32.0}
QUESTIONS = "medmcqa/medmcqa_validation.jsonl.gz"


def text(path: str, **more: str) -> dict:
    return {"name": "text", "path": path, "tokenizer": "bytes", "length": LENGTH, **more}


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    plain = text("tiny_shakespeare/input.txt")
    return merge(
        base,
        {
            "project": "korean_medical_files",
            "data": {"root": "data", "batch_size": 16, "eval_batch_size": 32},
            "model": {
                "name": "decoder",
                "family": "gemma",
                "width": 128,
                "layers": 3,
                "heads": 4,
                "kv_heads": 1,
                "head_dim": 32,
                "hidden": 384,
                "max_length": LENGTH,
            },
            "loss": {"name": "next_token"},
            "optimizer": {"learning_rate": 3e-3, "clip_norm": 1.0},
            "schedule": {"name": "cosine", "warmup_steps": 20},
            "train": {"epochs": 2},
            "checkpoint": {"monitor": "train/loss"},
            "base": {"data": plain},
            "phases": {
                "korean": {"data": text("nsmc/nsmc_sample.tsv", field="document"), "lora": LORA},
                "medical": {"data": text(QUESTIONS, field="question"), "lora": LORA},
                "questions": {
                    "data": {
                        "name": "multiple_choice",
                        "path": QUESTIONS,
                        "prompt": "{question}\n",
                        "choices": ["options"],
                        "answer_is": "text",
                        "tokenizer": "bytes",
                        "length": LENGTH,
                    },
                    "lora": LORA,
                },
            },
            "retention": {"untrained": {"plain": plain}},
        },
    )
