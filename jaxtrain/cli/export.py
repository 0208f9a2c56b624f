"""`export`: a run's decoder as files of Hugging Face, its tokenizer beside it.

export --checkpoint RUN --output tuned
export --checkpoint RUN --output tuned --dtype bfloat16
"""

from __future__ import annotations

import argparse
import logging

from jaxtrain.cli.command import Command
from jaxtrain.cli.trained import add_checkpoint_words, take_checkpoint, trained_of
from jaxtrain.errors import ConfigError

logger = logging.getLogger(__name__)


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_words(parser)
    parser.add_argument(
        "--output", metavar="DIR", help="a directory that is not there yet, or is empty"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        help="of the parameters in the files; by default as the run has them",
    )


def _export(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.output is None:
        raise ConfigError("export: --output is missing; give a directory that is not there yet")
    trained = trained_of(options, overrides)
    for line in trained.changed_plugins():
        logger.warning("not what the run was made with: %s", line)
    from jaxtrain.run.exporting import export

    print(export(trained, options.output, dtype=options.dtype).summary())
    return 0


COMMAND = Command(
    "write a run's decoder as files of Hugging Face",
    _add_words,
    _export,
    take_checkpoint,
    prints=False,
)
