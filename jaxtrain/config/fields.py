"""What a field takes, read off its annotation: in words, and for reading text.

describe(OptimizerSection.model_fields["learning_rate"])    # "a number between 1e-08 and 10"
typed("64,64", tuple[int, ...], text="64,64")               # (64, 64)
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pydantic
from pydantic.fields import FieldInfo

from jaxtrain.config.overrides import parse

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def fields_of(annotation: Any) -> dict[str, FieldInfo] | None:
    """The fields of a section, which is a pydantic model or a TypedDict; None for other types.

    A section that may be null has those that it has where it is there.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        others = [each for each in get_args(annotation) if each is not types.NoneType]
        return fields_of(others[0]) if len(others) == 1 else None
    if not isinstance(annotation, type):
        return None
    if issubclass(annotation, pydantic.BaseModel):
        return annotation.model_fields
    if hasattr(annotation, "__total__"):
        return {
            name: FieldInfo.from_annotation(hint)
            for name, hint in get_type_hints(annotation, include_extras=True).items()
        }
    return None


def may_be_null(annotation: Any) -> bool:
    """Whether None is a value of this type."""
    return types.NoneType in _kinds(annotation)


def describe(field: FieldInfo) -> str:
    """The values that `field` takes, in words.

    >>> describe(FieldInfo.from_annotation(Annotated[float, pydantic.Field(ge=0, lt=1)]))
    'a number of at least 0 and below 1'
    >>> describe(FieldInfo.from_annotation(Literal["pad", "drop"] | None))
    "'pad' or 'drop', or null"
    """
    return _describe(field.annotation, field.metadata)


def typed(value: Any, annotation: Any, *, text: str | None = None) -> Any:
    """`value` as a field of type `annotation` wants it, where it can mean just that.

    A float that is whole is an integer. Text is a number on the command line, where all is text,
    and nowhere else: who writes `batch_size: "64"` in a file has said that it is text.

    Whatever can't be read so is returned as it is, for the schema to refuse.

    Args:
        value: what the config holds.
        annotation: the field's type.
        text: what stood on the command line, where `value` comes from there.

    >>> typed("3e-4", float, text="'3e-4'"), typed("3e-4", float), typed(1e3, int), typed(True, int)
    (0.0003, '3e-4', 1000, True)
    >>> typed(7, str, text="007")
    '007'
    """
    kinds = _kinds(annotation)
    if text is not None:
        value = _from_text(value, text, kinds)
    if isinstance(value, tuple):
        return tuple(
            typed(item, _item(annotation), text=item if text and isinstance(item, str) else None)
            for item in value
        )
    if text is not None and isinstance(value, str) and str not in kinds and kinds & {int, float}:
        number = parse(value)
        value = number if type(number) in (int, float) else value
    if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
        return int(value)  # 1e3 epochs
    return value


def _from_text(value: Any, text: str, kinds: set[Any]) -> Any:
    may_be_none = types.NoneType in kinds
    if kinds - {types.NoneType} == {str}:
        return None if value is None and may_be_none and text else text
    if str in kinds and isinstance(value, str) and "," not in text:
        return value  # a word in the place of a list: class_weights=balanced
    if tuple in kinds and value is not None and not isinstance(value, tuple):
        items = parse(f"[{text}]")
        if not isinstance(items, tuple) and str in kinds:  # `*` begins something else in YAML
            return tuple(item.strip() for item in text.split(","))
        return items if isinstance(items, tuple) else value
    return value


def _kinds(annotation: Any) -> set[Any]:
    """The Python types among which a value of `annotation` is, without what they hold."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(arguments[0])
    if origin in (Union, types.UnionType):
        return set().union(*(_kinds(argument) for argument in arguments))
    if origin is Literal:
        return {type(choice) for choice in arguments}
    return {origin or annotation}


def _item(annotation: Any) -> Any:
    """The type of a list's items; `Any` where there is more than one."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _item(arguments[0])
    if origin in (Union, types.UnionType):
        items = [_item(argument) for argument in arguments if argument is not types.NoneType]
        return items[0] if len(items) == 1 else Any
    types_of_items = {argument for argument in arguments if argument is not Ellipsis}
    return types_of_items.pop() if origin is tuple and len(types_of_items) == 1 else Any


def _describe(annotation: Any, metadata: list[Any]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = FieldInfo.from_annotation(annotation)
        return _describe(own.annotation, [*own.metadata, *metadata])
    if origin in (Union, types.UnionType):
        words = [_describe(a, metadata) for a in arguments if a is not types.NoneType]
        return ", or ".join([*words, "null"] if types.NoneType in arguments else words)
    if origin is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin is tuple:
        count = _bounds(metadata, "min_length", "max_length")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return f"a list{count}, each item {_describe(arguments[0], [])}"
        return f"a list of {len(arguments)}: {', '.join(_describe(a, []) for a in arguments)}"
    if origin is dict or fields_of(annotation) is not None:
        return "a section"
    word = _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
    return word + _bounds(metadata, "ge", "le") + _pattern(metadata)


def _bounds(metadata: list[Any], low_name: str, high_name: str) -> str:
    found: Mapping[str, Any] = {
        name: getattr(rule, name)
        for rule in metadata
        for name in (low_name, high_name, "gt", "lt", "multiple_of")
        if getattr(rule, name, None) is not None
    }
    low, high = found.get(low_name), found.get(high_name)
    if low is not None and high is not None:
        return f" between {_number(low)} and {_number(high)}"
    words = [
        f"{word} {_number(found[name])}"
        for name, word in (
            (low_name, "of at least"),
            ("gt", "above"),
            (high_name, "of at most"),
            ("lt", "below"),
            ("multiple_of", "divisible by"),
        )
        if name in found
    ]
    return f" {' and '.join(words)}" if words else ""


def _pattern(metadata: list[Any]) -> str:
    patterns = [rule.pattern for rule in metadata if getattr(rule, "pattern", None)]
    return f" that matches {patterns[0]}" if patterns else ""


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
