"""A config as plain values, as YAML text, as a file that `load` takes back.

dump(config, run_directory / "config.yaml")
check(load(run_directory / "config.yaml"), registries) == config
"""

from __future__ import annotations

import os
from typing import Any

from jaxtrain.config.schema import DEFAULT_HOOKS, ExperimentConfig, Section
from jaxtrain.config.tree import Tree, from_dict
from jaxtrain.config.yaml_form import dumps_plain
from jaxtrain.files.atomic import replacing


def to_dict(config: Tree | Section) -> dict[str, Any]:
    """Plain nested dicts, lists as tuples; of a checked config, with every default written out.

    A hook that would be there by default, but is switched off, is written as None.
    """
    if not isinstance(config, Section):
        return from_dict(config).to_dict()
    values = config.model_dump()
    if isinstance(config, ExperimentConfig):
        values["hooks"] |= {name: None for name in DEFAULT_HOOKS if name not in config.hooks}
    return values


def dumps(config: Tree | Section) -> str:
    """`config` as YAML text that `load` takes back unchanged.

    Raises:
        ConfigError: where a value is not text, a number, a bool, None, a list or a mapping.
    """
    return dumps_plain(to_dict(config))


def dump(config: Tree | Section, path: str | os.PathLike[str]) -> None:
    """Write `config` as YAML to `path`, whole or not at all; its directory is made where missing.

    Raises:
        ConfigError: as `dumps`, before the file is opened.
    """
    text = dumps(config)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
