"""`report`: the page of a run, or of several beside each other.

jaxtrain report RUN                              # RUN/report.html
jaxtrain report RUN RUN RUN --out sweep.html
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from jaxtrain.cli.command import Command
from jaxtrain.cli.printing import shown
from jaxtrain.errors import ConfigError

_COMPARISON = "comparison.html"


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="a run: its path, its id, or the beginning of one"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"the HTML file; by default RUN/report.html, of several runs ./{_COMPARISON}",
    )


def _report(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides:
        raise ConfigError(f"report: takes no --config, found --config.{overrides[0]}")
    if options.out is not None and os.path.isdir(options.out):
        raise ConfigError(f"report: --out {options.out}: is a directory; expected a file")
    from jaxtrain.report import write_comparison, write_page
    from jaxtrain.tracking import one_run

    records = [one_run(text) for text in options.runs]
    if len(records) == 1:
        path = write_page(records[0], options.out)
    else:
        path = write_comparison(records, options.out or _COMPARISON)
    print(f"report: {shown(Path(path))}")
    return 0


COMMAND = Command("write the page of a run, or of several beside each other", _add_words, _report)
