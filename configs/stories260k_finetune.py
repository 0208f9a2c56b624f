"""Stories260K of llama2.c, a Llama of 260 thousand parameters, fine-tuned on Tiny Shakespeare.

It reads data/stories260k/stories260K.bin and tok512.bin (karpathy/tinyllamas on Hugging Face) and
data/tiny_shakespeare/input.txt (karpathy/char-rnn on GitHub). Where they lie elsewhere:
`--config.data.root=DIR --config.model.weights=DIR/stories260k/stories260K.bin`. Any other text will
do, of 40 kB or more: `--config.data.path=FILE`, below the root as the tokenizer is, or null for one
that every Python has.
"""

from pathlib import Path

from jaxtrain.config import ConfigDict, load, merge


def get_config() -> ConfigDict:
    base = load(Path(__file__).with_name("base.py"))
    return merge(
        base,
        {
            "project": "stories260k_finetune",
            "data": {
                "name": "text",
                "root": "data",
                "path": "tiny_shakespeare/input.txt",
                "tokenizer": "stories260k/tok512.bin",
                "length": 128,
                "batch_size": 32,
            },
            # Its sizes are those of the file.
            "model": {"name": "decoder", "weights": "data/stories260k/stories260K.bin"},
            "loss": {"name": "next_token"},
            "optimizer": {"learning_rate": 1e-3, "weight_decay": 0.01, "clip_norm": 1.0},
            "schedule": {"warmup_steps": 20},
            "train": {"epochs": 3},
        },
    )
