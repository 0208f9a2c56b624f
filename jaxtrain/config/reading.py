"""Config files, by what their names end in.

    config = load("configs/digits.py")                # get_config() of a Python file
    config = load("runs/digits/r1/config.yaml")       # or .yml, .json, .toml, .sdn

`.py` is executed: naming it is the user's explicit choice. The other forms are data, and reading
them executes and imports nothing. `.sdn` is a `key: value` notation: scalars, nested maps, lists
and comments, read as YAML without anchors. A duplicate key is an error in every form.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_collections

from jaxtrain.config import json_form, toml_form, yaml_form
from jaxtrain.config.plain import as_plain
from jaxtrain.config.python_file import execute, failures_named
from jaxtrain.config.tree import ConfigDict, from_dict, stamp
from jaxtrain.errors import ConfigError, JaxtrainError, did_you_mean

SUFFIXES = (".py", ".yaml", ".yml", ".json", ".toml", ".sdn")

# Far above any config written by hand, far below what would hurt to read.
MAX_BYTES = 1 << 20


def load(path: str | os.PathLike[str]) -> ConfigDict:
    """The config written in the file at `path`.

    Raises:
        ConfigError: names the file, and the line where it is known: the file is missing, can't be
            read, ends in none of `SUFFIXES`, has a syntax error, a duplicate key, or no mapping at
            its top.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: {_absence(path)}")
        path = _shown(path)
        return _from_python(path) if path.suffix == ".py" else _from_data(path)
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except JaxtrainError:
        raise
    except OSError as error:  # of the code of a config.py it is a ConfigError by now
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error


def _from_python(path: Path) -> ConfigDict:
    with _module(f"config_{path.stem}") as module:
        execute(path, module.__name__, into=module)
        if not callable(getattr(module, "get_config", None)):
            raise ConfigError(f"{path}: expected a function get_config() that returns the config")
        with failures_named(path):
            config = as_plain(module.get_config())
            if not isinstance(config, (Mapping, ml_collections.ConfigDict)):
                call = "; call it" if isinstance(config, type) else ""
                raise ConfigError(
                    f"{path}: get_config() must return a ConfigDict, a dict or a dataclass, found "
                    f"{config!r}{call}"
                )
            tree = from_dict(config)
    stamp(tree, str(path))
    return tree


@contextmanager
def _module(name: str) -> Iterator[types.ModuleType]:
    """A module that can be found while its code runs: dataclasses look for it."""
    module = types.ModuleType(name)
    before = sys.modules.get(name)  # of the same name is, perhaps, the config that reads this one
    sys.modules[name] = module
    try:
        yield module
    finally:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before


def load_plain(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The values of a data file as they are written, dots in their keys or not.

    Raises:
        ConfigError: as `load`; and a .py file is none.
    """
    path = Path(path)
    data = tuple(suffix for suffix in SUFFIXES if suffix != ".py")
    if path.suffix not in data:
        raise ConfigError(f"{path}: expected a file that ends in {', '.join(data)}")
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: {_absence(path)}")
        return _values(_shown(path))[0]
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error


def _values(path: Path) -> tuple[dict[str, Any], yaml_form.Lines]:
    source = str(path)
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{source}: larger than {MAX_BYTES} bytes, which no config is")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{source}: not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    values, lines = _parse(path.suffix, text, source)
    if not isinstance(values, dict):
        if values is not None:
            raise ConfigError(
                f"{source}: expected a mapping of keys to values at the top, found {values!r:.60}"
            )
        values = {}  # an empty file: all defaults
    return values, lines


def _from_data(path: Path) -> ConfigDict:
    source = str(path)
    values, lines = _values(path)
    try:
        tree = from_dict(values)
    except ConfigError as error:
        line = next((line for path, line in lines.items() if not path[-1] or "." in path[-1]), None)
        place = source if line is None else f"{source}:{line}"
        raise ConfigError(f"{place}: {error}") from error
    stamp(tree, source, lines)
    return tree


def _parse(suffix: str, text: str, source: str) -> tuple[Any, yaml_form.Lines]:
    if suffix == ".json":
        return json_form.read(text, source)
    if suffix == ".toml":
        return toml_form.read(text, source)
    return yaml_form.read(text, source, notation="SDN" if suffix == ".sdn" else "YAML")


def _absence(path: Path) -> str:
    if path.exists():
        return "expected a file, found something else"
    if not path.parent.is_dir():
        return f"no such file: there is no directory {path.parent}"
    names = [other.name for other in path.parent.iterdir() if other.suffix in SUFFIXES]
    return f"no such file in {path.parent.resolve()}{did_you_mean(path.name, names)}"


def _shown(path: Path) -> Path:
    """`path` from the working directory where it lies below it: shorter to read in messages."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path
