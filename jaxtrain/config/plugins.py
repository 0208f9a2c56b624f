"""Bring in a user's own components by importing the module that registers them.

    import_plugin("my_package.my_models")
    import_plugin("./my_models.py")
    plugin_digest("./my_models.py")
    imported_digests(config.plugins)         # for a record of what a run was made with

Called only for what the user named in so many words, never for what a config says.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
import types
from collections.abc import Iterable
from pathlib import Path

from jaxtrain.blame import in_a_line, place_of
from jaxtrain.config.python_file import execute
from jaxtrain.errors import ConfigError, JaxtrainError


def import_plugin(target: str) -> types.ModuleType:
    """Import a module by its dotted name, or by the path of its `.py` file.

    Importing the same file twice gives the same module, so its components register once.

    Raises:
        ConfigError: the module or file is not there, or fails while it is imported; names the
            plugin, the line and the exception.
    """
    if target.endswith(".py"):
        try:
            return _from_path(Path(target).resolve(), target)
        except JaxtrainError:
            raise
        except (OSError, ValueError) as error:  # no path; nothing that its own code raises
            raise ConfigError(f"plugin {target!r}: can't be read: {in_a_line(error)}") from error
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
    # This is someone else's code: it may raise anything, even SystemExit where a script was meant
    # to be run, and all of it means "fix the plugin".
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = place_of(error) or f"{frames[-1].filename}:{frames[-1].lineno}"
        raise ConfigError(f"plugin {target!r}: {in_a_line(error)} ({place})") from error


def plugin_digest(target: str) -> str:
    """The SHA-256, in hex, of a plugin's source: of its file, or of every `.py` file of a package.

    It is the same wherever the files lie, and another one after any change to them.

    Raises:
        ConfigError: as `import_plugin`, which it calls; or the module has no source file.
    """
    digest = _digest(import_plugin(target))
    if digest is None:
        raise ConfigError(f"plugin {target!r}: expected a module with a source file, found none")
    return digest


def imported_digests(targets: Iterable[str]) -> dict[str, str]:
    """The digests of those of `targets` that this process has imported, by target.

    Nothing is imported for it: a config may list plugins, but not have them executed. Of a module
    without a source file the digest is empty.
    """
    found = {}
    for target in targets:
        name = _module_name(Path(target).resolve()) if target.endswith(".py") else target
        if name in sys.modules:
            found[target] = _digest(sys.modules[name]) or ""
    return found


def _digest(module: types.ModuleType) -> str | None:
    """Of a module's source; None where it has none."""
    if hasattr(module, "__path__"):
        roots = [Path(root) for root in module.__path__]
        files = {
            path.relative_to(root).as_posix(): path for root in roots for path in root.rglob("*.py")
        }
    else:
        path = Path(getattr(module, "__file__", None) or "")
        files = {"": path} if path.suffix == ".py" and path.is_file() else {}
    if not files:
        return None
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _module_name(path: Path) -> str:
    """Under which name a plugin's file is imported: two files of one name are two modules."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return f"jaxtrain_plugin_{path.stem}_{digest}"


def _from_path(path: Path, target: str) -> types.ModuleType:
    if not path.is_file():
        raise ConfigError(f"plugin {target!r}: no such file: {path}")
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    module = sys.modules[name] = types.ModuleType(name)  # dataclasses look for it while it runs
    try:
        return execute(path, name, into=module)
    except JaxtrainError as error:
        del sys.modules[name]
        raise ConfigError(f"plugin {target!r}: {error}") from error
    except BaseException:  # Ctrl-C: half a module must not pass for a whole one
        del sys.modules[name]
        raise
