"""`evaluate`: the metrics of a checkpoint on every data set of its run, or on new rows, as JSON.

What is not as it was when the run was made is said on the standard error, and stands under
`differs` in the JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from typing import TYPE_CHECKING, Any

from jaxtrain.cli.command import Command
from jaxtrain.cli.trained import add_checkpoint_words, take_checkpoint, trained_of
from jaxtrain.errors import DataNotFoundError

if TYPE_CHECKING:
    from jaxtrain.data import Rows

logger = logging.getLogger(__name__)


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_checkpoint_words(parser)
    parser.add_argument(
        "--input", metavar="PATH", help="rows that the run has never seen, with their targets"
    )


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
    trained = trained_of(options, overrides)
    differs = trained.changed_plugins()
    if options.input is not None:
        sets: dict[str, Rows] = {"input": trained.dataset(trained.read(options.input))}
    else:
        try:
            sets, changed = trained.sets()
        except DataNotFoundError as error:
            raise DataNotFoundError(f"{error}; --input FILE evaluates other rows") from error
        differs += changed
    for line in differs:
        logger.warning("not what the run was made with: %s", line)
    said: dict[str, Any] = {"checkpoint": str(trained.path)}
    for name, rows in sets.items():
        said[name] = {key: _json(value) for key, value in trained.evaluate(rows).items()}
    if differs:
        said["differs"] = differs
    print(json.dumps(said, indent=2, allow_nan=False))
    return 0


def _json(value: Any) -> Any:
    """JSON has no NaN: a figure of nothing is null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


COMMAND = Command(
    "metrics of a checkpoint on every data set, or on new rows",
    _add_words,
    _evaluate,
    take_checkpoint,
)
