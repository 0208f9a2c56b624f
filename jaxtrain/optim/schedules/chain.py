"""Schedules in a row, each over its own length.

    schedule:
      name: chain
      parts: [{name: constant, epochs: 5, scale: 0.1}, {name: linear, steps: 90}, {name: cosine}]

A part is a section like `schedule`, without a warm-up of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import optax
import pydantic

from jaxtrain.errors import ConfigError, OptionsError, UnknownNameError, did_you_mean
from jaxtrain.optim.registry import SCHEDULES
from jaxtrain.optim.schedules.lengths import in_steps

_LENGTHS = ("steps", "epochs", "fraction")


class Part(pydantic.BaseModel):
    """What every part of a chain has, beside the options of its schedule.

    Attributes:
        name: of the schedule.
        steps: its length in updates.
        epochs: its length in epochs.
        fraction: its length as a fraction of all updates of the chain.
        scale: its peak as a fraction of the run's.
    """

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )

    name: str
    steps: Annotated[int, pydantic.Field(ge=1)] | None = None
    epochs: Annotated[float, pydantic.Field(gt=0)] | None = None
    fraction: Annotated[float, pydantic.Field(gt=0, lt=1)] | None = None
    scale: Annotated[float, pydantic.Field(gt=0, le=1)] = 1.0


def check_parts(options: Mapping[str, Any]) -> dict[str, Any]:
    """See that each part is a schedule with options that it has, when a config is checked.

    Raises:
        OptionsError: it is not so; by the keys of the parts and of their options.
    """
    parts = options.get("parts")
    if isinstance(parts, Sequence) and not isinstance(parts, str):
        _checked(parts)
    return {}


@SCHEDULES.register("chain", complete=check_parts)
def chain(
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int | None = None,
    *,
    parts: Annotated[tuple[dict[str, Any], ...], pydantic.Field(min_length=2)],
) -> optax.Schedule:
    """Schedules in a row, each from its own beginning.

    Args:
        learning_rate: the peak.
        total_steps: updates in all.
        steps_per_epoch: updates an epoch.
        parts: sections with the `name` and the options of a schedule, and a length, in `steps`,
            `epochs` or as a `fraction` of all updates behind the warm-up; the last takes what is
            left where it names none. `scale` is a part's peak as a fraction of the run's.

    Raises:
        ConfigError: a part is none, or the parts are longer than the run.
    """
    sections = _checked(parts)
    schedules: list[optax.Schedule] = []
    boundaries: list[int] = []
    begin = 0
    for number, part in enumerate(sections):
        where = f"schedule.parts.{number}"
        length = _length_of(part, total_steps, steps_per_epoch, where) or total_steps - begin
        if begin + length > total_steps or length < 1:
            raise ConfigError(
                f"{where}: ends after {begin + max(length, 1)} steps, and there are {total_steps}; "
                "shorten the parts, or train longer"
            )
        try:
            made = SCHEDULES.build(
                part,
                learning_rate=part.scale * learning_rate,
                total_steps=length,
                steps_per_epoch=steps_per_epoch,
            )
        except ConfigError as error:
            text = str(error)
            inside = text.startswith("schedule.")
            raise ConfigError(
                f"{where}.{text.removeprefix('schedule.')}" if inside else f"{where}: {text}"
            ) from error
        schedules.append(made if callable(made) else optax.constant_schedule(made))
        begin += length
        boundaries.append(begin)
    return optax.join_schedules(schedules, boundaries[:-1])


def _length_of(part: Part, total_steps: int, steps_per_epoch: int | None, where: str) -> int | None:
    """In updates; None of a part that names none."""
    for unit in _LENGTHS:
        length = getattr(part, unit)
        if length is not None:
            return in_steps(length, unit, total_steps, steps_per_epoch, f"{where}.{unit}")
    return None


def _checked(parts: Sequence[Any]) -> list[Part]:
    problems: dict[str, str] = {}
    found = []
    for number, part in enumerate(parts):
        key = f"parts.{number}"
        try:
            found.append(_section(part, last=number == len(parts) - 1))
        except pydantic.ValidationError as error:
            for one in error.errors(include_url=False):
                problems[".".join([key, *map(str, one["loc"])])] = _said(one, part)
        except UnknownNameError as error:
            problems[f"{key}.name"] = str(error)
        except ConfigError as error:
            problems[key] = str(error)
    if problems:
        raise OptionsError(problems)
    return found


def _section(part: Any, *, last: bool) -> Part:
    if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
        raise ConfigError(f"expected a section with the name of a schedule, found {part!r}")
    if part["name"] == "chain":
        raise ConfigError("expected a schedule that is no chain itself; write its parts out")
    schema = SCHEDULES.schema(part["name"], Part)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in part.items()}
    section = schema.model_validate(SCHEDULES.complete(part["name"], values))
    lengths = [unit for unit in _LENGTHS if getattr(section, unit) is not None]
    if len(lengths) > 1 or not (lengths or last):
        raise ConfigError(
            f"expected one length, {', '.join(_LENGTHS)}, found {' and '.join(lengths) or 'none'}"
        )
    return section


def _said(problem: Any, part: Mapping[str, Any]) -> str:
    """What pydantic says, as a config is told what is wrong with it."""
    key = problem["loc"][0]
    if problem["type"] == "extra_forbidden":
        known = SCHEDULES.schema(part["name"], Part).model_fields
        return f"unknown key{did_you_mean(key, known)} (known: {', '.join(known)})"
    if problem["type"] == "missing":
        return "missing"
    said = problem["msg"].replace("Input should be", "expected")
    return f"{said}, found {problem['input']!r}"
