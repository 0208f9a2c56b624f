"""A path that a user has written, as a path.

place_of("~/data/birds", key="data.root")                # Path("/home/me/data/birds")
"""

from __future__ import annotations

from pathlib import Path

from jaxtrain.errors import ConfigError


def place_of(text: str, *, key: str) -> Path:
    """`text` as a path, `~` as the user's home; nothing need be there.

    Raises:
        ConfigError: it can't be a path on any machine, or `~name` is nobody; names `key`.

    >>> place_of("data/birds", key="data.root").parts
    ('data', 'birds')
    """
    if not text or "\0" in text:
        raise ConfigError(f"{key}: {text!r} can't be a path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{key}: {text!r}: {error}") from None


def is_there(path: Path) -> bool:
    """Whether there is something at `path`.

    Raises:
        ConfigError: nobody may look, or the name is too long; names the path.

    >>> is_there(Path("no/such/file"))
    False
    """
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be looked at ({error})") from None
