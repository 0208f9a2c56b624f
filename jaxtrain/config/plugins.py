"""Bring in a user's own components by importing the module that registers them.

    import_plugin("my_package.my_models")
    import_plugin("./my_models.py")

Called only for what the user named in so many words (`--plugin`), never for what a config says.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
import types
from pathlib import Path

from jaxtrain.config.python_file import execute
from jaxtrain.errors import ConfigError


def import_plugin(target: str) -> types.ModuleType:
    """Import a module by its dotted name, or by the path of its `.py` file.

    Importing the same file twice gives the same module, so its components register once.

    Raises:
        ConfigError: the module or file is not there, or fails while it is imported.
    """
    if target.endswith(".py"):
        return _from_path(Path(target).resolve(), target)
    if not all(part.isidentifier() for part in target.split(".")):
        raise ConfigError(
            f"plugin {target!r}: expected a dotted module name (my_package.my_models) "
            "or the path of a file that ends in .py"
        )
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{target}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"plugin {target!r} needs a module that is missing: {error}"
            ) from error
        raise ConfigError(
            f"plugin {target!r}: no module named {error.name!r}; install it, put its directory on "
            "PYTHONPATH, or give the path of its .py file"
        ) from error
    # This is someone else's code: it may raise anything, and all of it means "fix the plugin".
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}"
        raise ConfigError(
            f"plugin {target!r}: {type(error).__name__}: {error} ({place})"
        ) from error


def _from_path(path: Path, target: str) -> types.ModuleType:
    if not path.is_file():
        raise ConfigError(f"plugin {target!r}: no such file: {path}")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"jaxtrain_plugin_{path.stem}_{digest}"  # two files of one name are two modules
    if name in sys.modules:
        return sys.modules[name]
    module = sys.modules[name] = types.ModuleType(name)  # dataclasses look for it while it runs
    try:
        return execute(path, name, into=module)
    except ConfigError:
        del sys.modules[name]
        raise
