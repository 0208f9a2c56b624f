"""`runs sync`: bring runs to an MLflow server, or what is not there of them yet.

runs sync                                       # all below runs/ that are not wholly there
runs sync seed0-1a2b --uri http://127.0.0.1:5000

What is on the disk stays, and stays the truth. Again it sends nothing twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrain.cli.command import Command
from jaxtrain.errors import ConfigError, DataError, ServerError, UnreachableError
from jaxtrain.files.retry import Retry

if TYPE_CHECKING:
    from jaxtrain.tracking import RunRecord
    from jaxtrain.tracking.mlflow import Synced

_TRIES = Retry(attempts=3, base=1.0)


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a path, an id or the beginning of one; by default all that are not wholly there",
    )
    parser.add_argument("--root", metavar="DIR", help="where to look for runs, by default runs")
    parser.add_argument(
        "--uri",
        metavar="URI",
        help="of the MLflow server, by default what MLFLOW_TRACKING_URI says; a password belongs "
        "into MLFLOW_TRACKING_PASSWORD",
    )


def _take(options: argparse.Namespace, word: str) -> None:
    options.runs.append(word)


def _sync(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides:
        raise ConfigError(f"{options.command}: takes no --config, found --config.{overrides[0]}")
    from jaxtrain.cli.printing import error_line, shown
    from jaxtrain.tracking import one_run
    from jaxtrain.tracking.mlflow import tracking_uri

    uri = tracking_uri(options.uri)
    root = _root(options)
    # All are found before the first is sent: a typo is not to be told of after an hour.
    records = [one_run(text, root) for text in options.runs] or list(_unsent(root, uri))
    code = 0
    for record in {record.path.absolute(): record for record in records}.values():
        try:
            synced = send(record, uri)
        except UnreachableError:
            raise  # nobody will answer for the next one either
        except (DataError, ServerError) as error:
            print(f"{shown(record.path.absolute())}: {error_line(error)}", file=sys.stderr)
            code = code or error.exit_code
            continue
        print("\n".join(lines_of(record, synced)))
    if not records:
        print(f"nothing to send: all runs below {root} are there, or there is none")
    return code


def send(record: RunRecord, uri: str, tries: Retry = _TRIES) -> Synced:
    """Send a run; where nobody answers, try again, with longer and longer pauses.

    Raises:
        UnreachableError: the last try failed as well.
        ServerError: it refuses.
        DataError: the run can't be read.
    """
    from jaxtrain.tracking.mlflow import sync

    return tries.call(lambda: sync(record, uri), on=(UnreachableError,))


def lines_of(record: RunRecord, synced: Synced) -> Iterator[str]:
    """What was sent, and what is other there, each note a line below."""
    from jaxtrain.cli.printing import shown

    counts = [
        f"{count:,} {name}"
        for count, name in (
            (synced.values, "values"),
            (synced.params, "params"),
            (synced.files, "files"),
        )
        if count
    ]
    where = f": {synced.url}" if synced.url else ""
    yield f"{shown(record.path.absolute())}: sent {', '.join(counts) or 'nothing new'}{where}"
    for note in synced.notes:
        yield f"  {note}"


def _root(options: argparse.Namespace) -> Path:
    root = Path(options.root or "runs")
    if options.root is not None and not root.is_dir():
        raise ConfigError(f"--root: {options.root!r}: there is no such directory")
    return root


def _unsent(root: Path, uri: str) -> Iterator[RunRecord]:
    from jaxtrain.tracking import find_runs
    from jaxtrain.tracking.mlflow import is_sent

    return (record for record in find_runs(root) if not is_sent(record, uri))


COMMAND = Command("send runs to an MLflow server, or the rest of them", _add_words, _sync, _take)
