"""Run a Python file that the user named: a `.py` config or a plugin.

    module = execute(Path("configs/digits.py"), "digits")
    module.get_config()

Nothing is written beside the file (no `__pycache__`): a config is read before anything is touched.
"""

from __future__ import annotations

import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxtrain.blame import in_a_line
from jaxtrain.errors import ConfigError, JaxtrainError


def execute(path: Path, name: str, *, into: types.ModuleType | None = None) -> types.ModuleType:
    """The module that running `path` makes.

    Args:
        path: a Python file.
        name: the module's `__name__`.
        into: a module made beforehand, so that it can be in `sys.modules` while it runs.

    Raises:
        ConfigError: the file can't be read; or its code failed, at a line that is named.
    """
    module = types.ModuleType(name) if into is None else into
    module.__file__ = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    with failures_named(path):
        code = compile(content, str(path), "exec")
        exec(code, module.__dict__)
    return module


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Raise whatever the code in `path` raises as a `ConfigError` that names its line in `path`."""
    try:
        yield
    except JaxtrainError:
        raise  # says what is wrong already
    # This is someone else's code: it may raise anything, SystemExit too where it was written as a
    # script, and all of it means "fix this file".
    except (Exception, SystemExit) as error:
        line = _line(error, path)
        place = str(path) if line is None else f"{path}:{line}"
        raise ConfigError(f"{place}: {in_a_line(error)}") from error


def _line(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return lines[-1] if lines else None
