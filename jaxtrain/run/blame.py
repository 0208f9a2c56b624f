"""Where in a user's own file an exception was raised.

try:
model.apply(...)
except Exception as error:
print(f"{type(error).__name__}: {error} ({blame(error)})")      # (/home/me/mine.py:12)
"""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

# Between the user's lines and the one that raised stand those of libraries.
_OURS = Path(__file__).parents[1]
_STANDARD = Path(sysconfig.get_path("stdlib"))
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax", "numpy", "pydantic")


def blame(error: BaseException) -> str:
    """`file:line` of the user's innermost line that `error` went through; "" if there is none.

    A file that is installed counts where no other does (a plugin may be), but jaxtrain, JAX and
    what belongs to them never.

    >>> try:
    ...     compile("1 +", "mine.py", "eval")
    ... except SyntaxError as error:
    ...     blame(error)
    ''
    """
    installed = ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        package = _package(path)
        if frame.filename.startswith("<") or path.is_relative_to(_OURS) or package in _LIBRARIES:
            continue
        if package is not None:
            installed = installed or f"{path}:{frame.lineno}"
        elif not path.is_relative_to(_STANDARD):
            return f"{path}:{frame.lineno}"
    return installed


def _package(path: Path) -> str | None:
    """Of an installed file the package; None of any other."""
    for folder in ("site-packages", "dist-packages"):
        if folder in path.parts[:-1]:
            return path.parts[path.parts.index(folder) + 1]
    return None
