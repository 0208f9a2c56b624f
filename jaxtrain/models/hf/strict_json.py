"""JSON of files that somebody else has made: an object, no name twice, of bounded size.

    read_object(directory / "config.json", error=ConfigError)

`json.loads` alone takes the last of two equal names, and so hides the other from who checks it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

MOST = 1 << 22
"""Bytes of JSON that are parsed: parsing takes many times as many. A model of 126 layers has an
index of 100 KiB."""

Error = type[ConfigError] | type[DataError]

_LONGEST = 100


def read_object(path: Path, *, error: Error) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        error: what to raise where it is something else.

    Raises:
        DataNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise DataNotFoundError(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as failure:
        raise ConfigError(f"{path}: can't be read ({failure.strerror})") from None
    if len(content) > MOST:
        raise error(f"{path}: larger than {MOST:,} bytes; such a file has far fewer")
    return parse_object(content, place=str(path), error=error)


def parse_object(content: bytes, *, place: str, error: Error) -> dict[str, Any]:
    """The JSON object in some bytes.

    >>> parse_object(b'{"a": [1]}', place="x.json", error=DataError)
    {'a': [1]}
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise error(f"{place}: {quoted(name)} is there twice; expected once")
            found[name] = value
        return found

    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=unique)
    except (ConfigError, DataError):
        raise
    # No UTF-8, no JSON, a number of too many digits; too deep.
    except (ValueError, RecursionError) as failure:
        what = str(failure) or type(failure).__name__
        raise error(f"{place}: is not valid JSON ({what})") from None
    if not isinstance(value, dict):
        raise error(f"{place}: expected a JSON object, found {type(value).__name__}")
    return value


def quoted(value: object) -> str:
    """What stands in a file, as a message may show it: on one line, and not too long.

    >>> quoted("a\\n"), len(quoted("x" * 1000))
    ("'a\\\\n'", 102)
    """
    text = repr(value[:_LONGEST] if isinstance(value, str) else value)
    return text if len(text) <= 2 * _LONGEST else f"{text[:_LONGEST]}…"
