"""Names that become names of files: they can't lead out of the directory they are meant for.

    inside(Path("runs"), "digits", "seed0-1a2b3c4d")      # runs/digits/seed0-1a2b3c4d
    inside(Path("runs"), "../../etc")                     # ConfigError

A name is one that every file system, URL and shell takes as it stands: no separators, no `..`, no
percent signs, no blanks. What is refused is never repaired: two names must not become one.
"""

from __future__ import annotations

import re
from pathlib import Path

from jaxtrain.errors import ConfigError

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def check_name(name: str, *, what: str) -> str:
    """`name`, if it is one.

    Args:
        name: a single name, not a path.
        what: what it names; begins the message.

    Raises:
        ConfigError: it has other characters, or too many of them.
    """
    if not re.fullmatch(PATTERN, name) or name.endswith("\n"):
        raise ConfigError(
            f"{what}: {name!r} can't be a name: expected 1 to 64 letters, digits, '.', '_' or '-', "
            "the first of them a letter or digit"
        )
    return name


def inside(root: Path, *names: str) -> Path:
    """The path of `names` below `root`, each of them checked.

    `root` may be or hold a symbolic link; that is its owner's choice. What is below it may not
    lead elsewhere.

    Raises:
        ConfigError: a name that is none, or a symbolic link that leads out of `root`.
    """
    path = root
    for name in names:
        path = path / check_name(name, what=f"a name below {root}")
    if not path.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"{path}: a symbolic link leads out of {root}, to {path.resolve()}")
    return path


def refuse_links(directory: Path) -> None:
    """Check that nothing directly in `directory` is a symbolic link.

    Raises:
        ConfigError: writing there could change a file elsewhere.
    """
    for entry in sorted(directory.iterdir()):
        if entry.is_symlink():
            raise ConfigError(
                f"{entry}: is a symbolic link, to {entry.readlink()}; writing there would change "
                "what is elsewhere. Put the file itself in its place"
            )
