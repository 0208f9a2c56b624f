"""From the tree a user wrote to the config the program reads, or one error with all that is wrong.

registries = {"data": SOURCES, "model": MODELS, "optimizer": OPTIMIZERS}
config = check(merge(load("configs/digits.py"), from_cli_dotlist(overrides)), registries)

configs/digits.yaml:12: optimizer.learning_rat: unknown key; did you mean 'learning_rate'? (…)
command line: train.epochs: expected a whole number between 1 and 1000000, found 'many'
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import pydantic
from typing_extensions import TypedDict

from jaxtrain.config.by_name import by_name
from jaxtrain.config.fields import fields_of, may_be_null, typed
from jaxtrain.config.groups import with_groups
from jaxtrain.config.overrides import parse
from jaxtrain.config.problems import plain, problem_of
from jaxtrain.config.schema import (
    DEFAULT_HOOKS,
    RESERVED_HOOKS,
    ExperimentConfig,
    HookSection,
    MetricSection,
    NamedSection,
)
from jaxtrain.config.tree import ConfigDict, Tree, merge, origin_of, set_origin, superseded
from jaxtrain.errors import ConfigError, OptionsError, UnknownNameError
from jaxtrain.registry import Registry

logger = logging.getLogger("jaxtrain.config")

KeyPath: TypeAlias = tuple[str, ...]

# Of these a run has several, each under a key that the user has chosen.
_SEVERAL: Mapping[str, type[NamedSection]] = {"hooks": HookSection, "metrics": MetricSection}


def check(
    tree: Tree, registries: Mapping[str, Registry], *, source: str = "config"
) -> ExperimentConfig:
    """The checked, frozen config that `tree` describes.

    Touches no device and writes nothing. Nor is anything read, but by the completion of a component
    that has one (see `jaxtrain.registry`): a decoder whose `weights` are files reads their sizes in
    config.json, or in a header of 28 bytes, where the config does not say all of them.

    Where a later layer names another component (`model.name=linear` over a file about an MLP), the
    options that earlier layers set for the old one, and the new one does not have, are dropped; one
    INFO line tells which.

    Args:
        tree: what the user wrote, overrides merged in. It is not changed.
        registries: the components each section chooses from, by the section's key
            (`data`, `model`, `loss`, `optimizer`, `schedule`, `metrics`, `hooks`).
        source: named in errors for keys that came from no file.

    Raises:
        ConfigError: one line for each problem, in the order of the file: where the key was set,
            the key, what was expected and what was found, or the nearest known key.
        DataError: what a completion reads is broken.
    """
    written = merge(tree)
    tree = written
    if "hooks" in registries:
        tree = merge({"hooks": {name: {} for name in DEFAULT_HOOKS}}, written)
    problems: dict[KeyPath, str] = {}
    _refuse_what_no_file_can_hold(tree, problems)
    _write_out_the_metrics(tree, problems)
    _drop_what_is_switched_off(tree)
    _drop_superseded(tree, registries)
    schema = _concrete(tree, registries, problems)
    values = _values(tree, schema)
    unfilled = _complete(values, registries)
    try:
        config = schema.model_validate(values)
    except pydantic.ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            path, text = problem_of(detail, schema, tree)
            if detail["type"] == "extra_forbidden" and (*path[:-1], "name") in problems:
                continue  # the options of a component that nobody knows can't be judged
            problems.setdefault(path, text)
    # Of a value of the wrong type there is nothing else to say.
    problems = unfilled | problems
    if problems:
        raise ConfigError(
            "\n".join(
                f"{origin_of(tree, path) or source}: {'.'.join(path)}: {problems[path]}"
                for path in _in_order(problems, written)
            )
        )
    return config


def _refuse_what_no_file_can_hold(tree: ConfigDict, problems: dict[KeyPath, str]) -> None:
    """Half a character, as a word of the command line or a \\ud800 in a file can bring it in."""
    for path in _paths(tree, ()):
        value = tree.get(".".join(path))
        words = value if isinstance(value, tuple) else (path[-1], value)
        for word in words:
            if isinstance(word, str) and not word.isascii():
                try:
                    word.encode()
                except UnicodeEncodeError:
                    problems[path] = f"expected text that UTF-8 can hold, found {word!r}"


def _write_out_the_metrics(tree: ConfigDict, problems: dict[KeyPath, str]) -> None:
    """Where `metrics` is a list, put the section in its place that the list is short for."""
    items, origin = tree.get("metrics"), origin_of(tree, ("metrics",))
    if isinstance(items, str):  # `metrics=loss,accuracy`
        items = parse(f"[{items}]")
    try:
        section = by_name(items)
    except ConfigError as error:
        problems["metrics",] = str(error)
        return
    if section is not None:
        tree["metrics"] = section
        if origin is not None:
            set_origin(tree, "metrics", origin)


def _drop_what_is_switched_off(tree: ConfigDict) -> None:
    for kind in _SEVERAL:
        sections = tree.get(kind)
        if isinstance(sections, ConfigDict):
            for key in [key for key, one in sections.items() if one is None or one is False]:
                # Those that every run has can't be switched off here either.
                if kind != "hooks" or key not in RESERVED_HOOKS:
                    del sections[key]


def _drop_superseded(tree: ConfigDict, registries: Mapping[str, Registry]) -> None:
    """Take out the options that only a component knows which a later layer has replaced."""
    told = []
    for dotted, section, registry, base, default in _components(tree, registries):
        now = section.get("name", default)
        if not isinstance(now, str) or now not in registry.names():
            continue
        known = registry.schema(now, base).model_fields
        dropped: dict[str, list[str]] = {}
        for key, name in superseded(section).items():
            before = name if isinstance(name, str) else default
            if key in known:
                continue
            if before in registry.names() and key not in registry.schema(before, base).model_fields:
                continue  # the old one did not know it either: a typing error, to be told as one
            dropped.setdefault(before, []).append(f"{dotted}.{key}")
            del section[key]
        for before, keys in dropped.items():
            told.append(f"{', '.join(keys)} of {before!r}, as {dotted}.name is now {now!r}")
    if told:
        logger.info("dropped the options %s", "; ".join(told))


def _components(
    tree: ConfigDict, registries: Mapping[str, Registry]
) -> Iterator[tuple[str, ConfigDict, Registry, type[pydantic.BaseModel], str]]:
    """Dotted key, section, registry, common options and default name of each that is written."""
    for key, registry in registries.items():
        section = tree.get(key)
        if not isinstance(section, ConfigDict):
            continue
        if key in _SEVERAL:
            for name, one in section.items():
                if isinstance(one, ConfigDict):
                    yield f"{key}.{name}", one, registry, _SEVERAL[key], name
        else:
            base: Any = ExperimentConfig.model_fields[key].annotation
            yield key, section, registry, base, base.model_fields["name"].default


def _in_order(problems: Mapping[KeyPath, str], tree: ConfigDict) -> list[KeyPath]:
    """By file, and in it by line, or where there are no lines as the keys stand in `tree`."""
    places = {path: place for place, path in enumerate(_paths(tree, ()))}

    def place(path: KeyPath) -> int:
        while path and path not in places:
            path = path[:-1]  # what is missing stands where its section does
        return places.get(path, -1)

    def source_and_line(path: KeyPath) -> tuple[str, int]:
        origin = origin_of(tree, path)
        return (origin.source, origin.line or 0) if origin else ("", 0)

    as_written = sorted(problems, key=place)
    sources = list(dict.fromkeys(source_and_line(path)[0] for path in as_written))

    def rank(path: KeyPath) -> tuple[int, int]:
        source, line = source_and_line(path)
        return sources.index(source), line

    return sorted(as_written, key=rank)


def _paths(tree: ConfigDict, prefix: KeyPath) -> Iterator[KeyPath]:
    for key, value in tree.items():
        yield (*prefix, key)
        if isinstance(value, ConfigDict):
            yield from _paths(value, (*prefix, key))


def _concrete(
    tree: ConfigDict, registries: Mapping[str, Registry], problems: dict[KeyPath, str]
) -> type[ExperimentConfig]:
    """`ExperimentConfig` with the sections of the components that `tree` names."""
    sections: dict[str, Any] = {}
    for key, registry in registries.items():
        if key in _SEVERAL:
            if key == "hooks" or isinstance(tree.get(key), ConfigDict):
                sections[key] = _concrete_several(tree, key, registry, problems)
            continue
        base: Any = ExperimentConfig.model_fields[key].annotation
        name = _name(tree.get(key), base.model_fields["name"].default)
        sections[key] = _section(registry, base, name, (key, "name"), problems)
        if key == "optimizer":
            sections[key] = with_groups(sections[key], tree.get("optimizer.groups"))
    fields = {key: (annotation, ...) for key, annotation in sections.items()}
    return pydantic.create_model(  # type: ignore[call-overload]
        "ExperimentConfig", __base__=ExperimentConfig, __module__=__name__, **fields
    )


def _concrete_several(
    tree: ConfigDict, kind: str, registry: Registry, problems: dict[KeyPath, str]
) -> Any:
    sections = tree.get(kind)
    keys = list(sections) if isinstance(sections, ConfigDict) else []
    reserved = RESERVED_HOOKS if kind == "hooks" else ()
    for key in keys:
        if key in reserved:
            problems[kind, key] = (
                f"every run has a hook of that name already (reserved: {', '.join(reserved)})"
                "; choose another key, such as 'my_" + key + "' with `name` saying which hook it is"
            )
    return TypedDict(  # type: ignore[operator]
        kind.capitalize(),
        {
            key: _section(
                registry,
                _SEVERAL[kind],
                _name(tree.get(f"{kind}.{key}"), key),
                (kind, key, "name"),
                problems,
            )
            for key in keys
            if key not in reserved
        },
    )


def _name(section: Any, default: str) -> Any:
    """The name in `section`, as the schema will read it: `model.name=5` means the text '5'."""
    if not isinstance(section, ConfigDict) or "name" not in section:
        return default
    origin = origin_of(section, ("name",))
    return typed(section["name"], str, text=origin.text if origin else None)


def _section(
    registry: Registry,
    base: type[pydantic.BaseModel],
    name: Any,
    path: KeyPath,
    problems: dict[KeyPath, str],
) -> type[pydantic.BaseModel]:
    if not isinstance(name, str):
        return base  # validation says that a name is text
    try:
        return registry.schema(name, base)
    except UnknownNameError as error:
        problems[path] = str(error)
        return base


def _values(tree: ConfigDict, schema: Any) -> dict[str, Any]:
    """`tree` as plain values, each in the type its field wants where it can be had."""
    fields = fields_of(schema) or {}
    values: dict[str, Any] = {}
    for key, value in tree.items():
        annotation = fields[key].annotation if key in fields else Any
        if isinstance(value, ConfigDict) and fields_of(annotation) is not None:
            values[key] = _values(value, annotation)
        else:
            origin = origin_of(tree, (key,))
            values[key] = typed(plain(value), annotation, text=origin.text if origin else None)
    for key, field in fields.items():
        annotation = field.annotation
        if key == "hooks" or (fields_of(annotation) is not None and not may_be_null(annotation)):
            values.setdefault(key, {})  # so that what is missing in it is told by its own key
        if isinstance(annotation, type) and issubclass(annotation, NamedSection):
            one = values[key]
            if isinstance(one, dict):
                one.setdefault("name", key)
    return values


def _complete(values: dict[str, Any], registries: Mapping[str, Registry]) -> dict[KeyPath, str]:
    """Set, in `values`, what components say of options that nobody set; gives what is wrong."""
    problems: dict[KeyPath, str] = {}
    for path, section, name, registry in _named(values, registries):
        try:
            section.update(registry.complete(name, section))
        except OptionsError as error:
            problems |= {
                (*path, *option.split(".")): text for option, text in error.problems.items()
            }
        except ConfigError as error:
            problems[(*path, "name")] = str(error)
    return problems


def _named(
    values: dict[str, Any], registries: Mapping[str, Registry]
) -> Iterator[tuple[KeyPath, dict[str, Any], str, Registry]]:
    """Path, section, name and registry of each component; what is no section is left out."""
    for key, registry in registries.items():
        sections = values.get(key)
        if not isinstance(sections, dict):
            continue
        found: list[tuple[KeyPath, Any, str]]
        if key in _SEVERAL:
            found = [((key, name), section, name) for name, section in sections.items()]
        else:
            base: Any = ExperimentConfig.model_fields[key].annotation
            found = [((key,), sections, base.model_fields["name"].default)]
        for path, section, default in found:
            name = section.get("name", default) if isinstance(section, dict) else None
            if isinstance(name, str):
                yield path, section, name, registry
