"""Some of the parts of a benchmark, as a word of the command line.

parser.add_argument("--parts", type=some_of(PARTS), default=list(PARTS))
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between them.

    >>> some_of(["a", "b"])("b,a")
    ['b', 'a']
    """

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [part for part in chosen if part not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)} (known: {', '.join(known)})"
            )
        return chosen

    return read
