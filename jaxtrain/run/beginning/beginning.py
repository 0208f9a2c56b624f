"""What somebody who begins is told, and the config that they begin with.

beginning = begin_with_images(Path("birds"))
beginning.facts              # what was taken for what, and why
beginning.config             # {"project": "birds", "data": {"name": "images", ...}, ...}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError


@dataclass(frozen=True)
class Fact:
    """A line of the table.

    Args:
        what: what it is about.
        taken_for: what was made of it.
        because: why.
    """

    what: str
    taken_for: str
    because: str = ""


@dataclass(frozen=True)
class Beginning:
    """A config, and what led to it.

    Args:
        config: what the config file is to say.
        facts: what was taken for what, and why.
        lines: what else there is to say.
        comments: what the file is to say beside a key, by its dotted name; under the name of a
            section that is not in `config`, a line that stands for it.
    """

    config: Mapping[str, Any]
    facts: tuple[Fact, ...] = ()
    lines: tuple[str, ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)


def project_of(path: Path, fallback: str) -> str:
    """A name for a project after that of its data: letters, digits, `.`, `_` and `-`.

    >>> project_of(Path("data/Größe der Vögel"), "images")
    'Groe_der_Vogel'
    >>> project_of(Path("數據.npz"), "arrays")
    'arrays'
    """
    stem = path.stem if path.stem.strip(".") else path.resolve().stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-")[:64] or fallback


def written(path: Path) -> str:
    """A path as a config file says it.

    Raises:
        ConfigError: it is not UTF-8, which no config file can say.
    """
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(
            f"{text!r}: a path that is not UTF-8 can't stand in a config; rename it"
        ) from None
    return text


def where_from(path: Path) -> str:
    """What a config's path is relative to, for a person; nothing of one from the root."""
    if path.expanduser().is_absolute():
        return ""
    return f"data.root is {str(path)!r}, from the directory in which you train; now {Path.cwd()}"


def shown(text: str) -> str:
    """A name as a terminal may show it: what it would obey is spelt out.

    >>> shown("gull"), shown("a\\x1b[31m")
    ('gull', "'a\\\\x1b[31m'")
    """
    return text if text.isprintable() else repr(text)
