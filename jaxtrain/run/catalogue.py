"""What a config can name, component by component, in the components' own words.

    for component in catalogue("model"):
        print(component.name, component.docs.summary)
        for option in component.options:
            print(option.name, option.takes, option.default)

Read off the registries: a plugin's components are there once it is imported.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from jaxtrain.config import ExperimentConfig, HookSection, MetricSection
from jaxtrain.config.fields import describe
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.run.docstring import Docstring
from jaxtrain.run.registries import REGISTRIES

KINDS: Mapping[str, str] = {
    "models": "model",
    "optimizers": "optimizer",
    "schedules": "schedule",
    "losses": "loss",
    "metrics": "metrics",
    "hooks": "hooks",
    "data": "data",
}
"""What people call the components of a section: the section."""

_ALSO = {"metric": "metrics", "hook": "hooks", "source": "data", "sources": "data"}


@dataclass(frozen=True)
class Option:
    """One option of a component.

    Args:
        name: its key in the section.
        takes: the values that it takes, in words.
        default: its default, as a config writes it; None where it has to be given.
        says: what the docstring says of it, or "".
        common: whether all components of the kind have it.
    """

    name: str
    takes: str
    default: str | None
    says: str
    common: bool


@dataclass(frozen=True)
class Component:
    """One component.

    Args:
        name: under which a config names it.
        docs: what its docstring says.
        options: what a config can set, its own first.
        place: the module that it comes from; the file, of a plugin.
    """

    name: str
    docs: Docstring
    options: tuple[Option, ...]
    place: str


def section_called(kind: str) -> str:
    """The section of the config that chooses among components that are called so.

    >>> section_called("models"), section_called("loss"), section_called("sources")
    ('model', 'loss', 'data')

    Raises:
        ConfigError: none does.
    """
    known = {**KINDS, **_ALSO, **{section: section for section in KINDS.values()}}
    if kind in known:
        return known[kind]
    of = [name for name, section in KINDS.items() if kind in REGISTRIES[section].names()]
    hint = f"; did you mean {of[0]} {kind}?" if of else did_you_mean(kind, known)
    raise ConfigError(f"{kind!r} is no kind of component{hint} (kinds: {', '.join(KINDS)})")


def catalogue(section: str) -> list[Component]:
    """Every component that a section of the config can name, by name."""
    return [component(section, name) for name in REGISTRIES[section].names()]


def component(section: str, name: str) -> Component:
    """One component.

    Raises:
        UnknownNameError: there is none of that name.
    """
    factory = REGISTRIES[section][name]
    docs = Docstring.of(inspect.getdoc(factory))
    said = _said_by_bases(factory) | dict(docs.arguments)
    base = _base(section)
    fields = REGISTRIES[section].schema(name, base).model_fields
    options = [
        Option(key, _takes(field), _default(field), said.get(key, ""), key in common)
        for common in (base.model_fields,)
        for key, field in fields.items()
        if key != "name"
    ]
    options.sort(key=lambda option: option.common)
    return Component(name, docs, tuple(options), _place(factory))


def _said_by_bases(factory: Any) -> dict[str, str]:
    """What the docstrings of the classes say of arguments, from which a class inherits them."""
    bases = factory.__mro__[1:] if inspect.isclass(factory) else ()
    said: dict[str, str] = {}
    for base in reversed(bases):
        said |= Docstring.of(inspect.cleandoc(base.__doc__ or "")).arguments
    return said


def _base(section: str) -> Any:
    several = {"hooks": HookSection, "metrics": MetricSection}
    return several.get(section) or ExperimentConfig.model_fields[section].annotation


def _takes(field: FieldInfo) -> str:
    return "anything" if field.annotation is Any else describe(field)


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    return _as_written(field.get_default(call_default_factory=True))


def _as_written(value: Any) -> str:
    """As a YAML file has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_written, value))}]"
    if isinstance(value, str):
        return value if value and value.replace("_", "").replace("/", "").isalnum() else repr(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _place(factory: Any) -> str:
    module = inspect.unwrap(factory).__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    if module.startswith("jaxtrain.") or file is None:
        return str(module)
    here = Path.cwd()
    return str(Path(file).relative_to(here) if Path(file).is_relative_to(here) else file)
