"""A path that a person typed: whether there can be anything of that name.

    typed_path("~ada/birds", what="data.root")            # Path("/home/ada/birds")
    typed_directory("~nobody-here/a", what="workdir")     # ConfigError

Nothing need be there yet. What is found out here would else be found out when the first file is
read or written: after an hour, perhaps.
"""

from __future__ import annotations

import os
from pathlib import Path

from jaxtrain.errors import ConfigError

# Below a run directory files have names of up to so many characters.
_ROOM = "x" * 128


def typed_path(text: str, *, what: str) -> Path:
    """The path that `text` means, `~` and `~user` expanded.

    Args:
        text: what was typed.
        what: what it is for; begins the message.

    Raises:
        ConfigError: it can't be a path on any machine, or `~user` is nobody.

    >>> typed_path("data/birds", what="data.root").parts
    ('data', 'birds')
    """
    if not text or "\0" in text:
        raise ConfigError(f"{what}: {text!r} can't be a path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        user = Path(text).parts[0]
        raise ConfigError(
            f"{what}: {text!r}: {user} has no home directory that is known here"
        ) from error


def typed_directory(text: str, *, what: str) -> Path:
    """The path that `text` means, `~` and `~user` expanded.

    Args:
        text: what was typed.
        what: what it is for; begins the message.

    Raises:
        ConfigError: there can be no directory there: an empty text, one that UTF-8 can't hold, a
            user that is not known, too long a name, a file in its way, or no right to look.
    """
    path = typed_path(text, what=what)
    where = f"{what}: {text!r}"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{where} is not valid UTF-8, so no record of the run could name it"
        ) from error
    try:
        # Absolute, as those who write there take it: a relative path may be short enough for long.
        os.lstat(path.absolute() / _ROOM)
    except FileNotFoundError:
        pass  # as it should be
    except OSError as error:
        raise ConfigError(f"{where} can't be used: {error.strerror}") from error
    return path


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
