"""`generate`: what a language model writes behind a prompt, on the standard output as it comes.

generate --checkpoint RUN --prompt "Once upon a time" --temperature 0.8
generate --model Llama-3.2-1B --prompt "The capital of France is"
generate --model stories260K.bin --tokenizer tok512.bin
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.cli.signals import ended_at_once
from jaxtrain.cli.trained import add_checkpoint_words, take_checkpoint, trained_of
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.run.language_model import LanguageModel

logger = logging.getLogger(__name__)

_ARGUMENT = re.compile(r"\b(max_new_tokens|temperature|top_k|top_p)\b")


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_words(parser)
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="instead of a run: a directory of Hugging Face, or a .bin of llama2.c",
    )
    parser.add_argument(
        "--tokenizer", metavar="FILE", help="of --model, where it is not in its directory"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        help="of --model's parameters; by default as its files have them",
    )
    parser.add_argument(
        "--prompt", metavar="TEXT", default="", help="what the text begins with; it is not repeated"
    )
    parser.add_argument(
        "--max-new-tokens", metavar="N", type=int, help="256, or what there is room for, by default"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0, the default, takes the likeliest token"
    )
    parser.add_argument("--top-k", metavar="K", type=int, help="draw among the K likeliest tokens")
    parser.add_argument(
        "--top-p", metavar="P", type=float, help="draw among the likeliest that make up P"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of what is drawn")


def _generate(options: argparse.Namespace, overrides: list[str]) -> int:
    model = _model(options, overrides)
    try:
        texts = model.write(
            options.prompt,
            max_new_tokens=options.max_new_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            seed=options.seed,
        )
    except ConfigError as error:
        raise ConfigError(_ARGUMENT.sub(_as_word, str(error))) from error
    with ended_at_once():
        for text in texts:
            sys.stdout.write(text)
            sys.stdout.flush()
    sys.stdout.write("\n")
    return 0


def _as_word(argument: re.Match[str]) -> str:
    return f"--{argument[0].replace('_', '-')}"


def _model(options: argparse.Namespace, overrides: list[str]) -> LanguageModel:
    """The one place that knows where models come from."""
    if options.model is None:
        for name in ("tokenizer", "dtype"):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name}: is of --model; a run has its own")
        trained = trained_of(options, overrides)
        for line in trained.changed_plugins():
            logger.warning("not what the run was made with: %s", line)
        from jaxtrain.run.language_model import LanguageModel

        return LanguageModel.of_run(trained)
    if options.checkpoint is not None:
        raise ConfigError("generate: both a run and --model are given; take one away")
    if overrides:
        raise ConfigError(f"generate: --model has no config to override: {overrides[0]}")
    from jaxtrain.run import choose_device

    choose_device(options.device or "auto")
    from jaxtrain.run.language_model import LanguageModel

    return LanguageModel.of_files(options.model, tokenizer=options.tokenizer, dtype=options.dtype)


COMMAND = Command(
    "what a language model writes behind a prompt", _add_words, _generate, take_checkpoint
)
"""A full disk under the text is a failure: it is what the command is for."""
