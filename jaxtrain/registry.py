"""Components by name: a factory's keyword-only parameters *are* its configuration.

    MODELS = Registry("model")

    @MODELS.register("mlp")
    def mlp(num_outputs: int, *, hidden: tuple[int, ...] = (128,), dropout: Rate = 0.0) -> Model:
        ...

In a config file this reads `model: {name: mlp, hidden: [64, 64]}`. Parameters before the `*` come
from the program, matched by name (`num_outputs` is known once the data is); those after it come
from the config, and their annotations say which values are right. A plugin registers its own
component the same way.

What follows from other options, a file that one of them names say, a completion can set where the
config says nothing, so that the config that is kept says all of it:

    def fill(options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"width": read_header(options["weights"]).width} if "weights" in options else {}

    @MODELS.register("decoder", complete=fill)
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast, get_type_hints

import pydantic

from jaxtrain.blame import STORAGE, in_a_line, out_of_memory, place_of
from jaxtrain.errors import ConfigError, JaxtrainError, UnknownNameError, did_you_mean

Factory = TypeVar("Factory", bound=Callable[..., Any])
Section = TypeVar("Section", bound=pydantic.BaseModel)

Completion: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From the options that a config sets, plain values that nobody has checked yet, to further ones,
to be set where it sets none or null. It may raise an `OptionsError`."""


class Registry:
    """Factories of one kind, by name.

    Args:
        kind: what the factories make ("model"), used in messages.
        returns: the type of what they make, or several; `build` refuses anything else. A Protocol
            has to be one that `isinstance` can ask about; `collections.abc.Callable` means whatever
            can be called. None is refused by every registry.
        hint: how to make one of it, to end that message with.
    """

    def __init__(self, kind: str, *, returns: Any = object, hint: str = "") -> None:
        isinstance(None, returns)  # a Protocol that can't be asked says so here, not in a run
        self.kind = kind
        self.returns = returns
        self.hint = hint
        self._factories: dict[str, Callable[..., Any]] = {}
        self._completions: dict[str, Completion] = {}
        # Of each name and base: whose schema it is, and that. Making one takes milliseconds.
        self._schemas: dict[tuple[str, type[pydantic.BaseModel]], tuple[object, Any]] = {}

    def register(
        self, name: str, *, complete: Completion | None = None
    ) -> Callable[[Factory], Factory]:
        """A decorator that makes a function or class known as `name`.

        Args:
            name: under which a config names it.
            complete: sets options that follow from others, when a config is checked.

        Raises:
            ValueError: where another factory already has that name. One that a notebook's cell has
                defined gives way to that of the same cell, run again.
        """

        def add(factory: Factory) -> Factory:
            taken = self._factories.get(name)
            if taken is not None and taken is not factory and not _same_cell(taken, factory):
                raise ValueError(
                    f"{self.kind} {name!r} is already registered by "
                    f"{taken.__module__}.{taken.__qualname__}"
                )
            self._factories[name] = factory
            self._completions.pop(name, None)
            if complete is not None:
                self._completions[name] = complete
            return factory

        return add

    def names(self) -> list[str]:
        """The known names, sorted."""
        return sorted(self._factories)

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """The factory called `name`; an `UnknownNameError` lists the known ones."""
        try:
            return self._factories[name]
        except KeyError:
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}{did_you_mean(name, self._factories)} "
                f"(known: {', '.join(self.names())}; a plugin can add others)"
            ) from None

    def options(self, name: str) -> list[str]:
        """The names of the factory's keyword-only parameters."""
        parameters = inspect.signature(self[name]).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    def schema(self, name: str, base: type[Section]) -> type[Section]:
        """`base` with the factory's keyword-only parameters as further fields.

        A field that `base` already has stays as it is there: the factory then receives its value.

        Raises:
            UnknownNameError: there is none of that name.
            ConfigError: its annotations can't be read.
        """
        factory = self[name]
        made_of, schema = self._schemas.get((name, base), (None, None))
        if made_of is not factory:
            schema = self._made_schema(name, factory, base)
            self._schemas[name, base] = factory, schema
        return cast("type[Section]", schema)

    def _made_schema(
        self, name: str, factory: Callable[..., Any], base: type[Section]
    ) -> type[Section]:
        try:
            hints = get_type_hints(
                factory.__init__ if inspect.isclass(factory) else factory, include_extras=True
            )
            fields: dict[str, Any] = {
                parameter.name: (
                    hints.get(parameter.name, Any),
                    _default(factory, parameter),
                )
                for parameter in inspect.signature(factory).parameters.values()
                if parameter.kind is parameter.KEYWORD_ONLY
                and parameter.name not in base.model_fields
            }
            return pydantic.create_model(f"{name}_{base.__name__}", __base__=base, **fields)
        # Somebody else's annotations: a name that is not there, a type that pydantic can't check.
        except Exception as error:
            raise ConfigError(
                f"{self.kind} {name!r}: the signature of {_called(factory)} can't be read: "
                f"{in_a_line(error)}"
            ) from error

    def complete(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """`options`, and where they say nothing or None what the component's completion says.

        Args:
            name: of the component; one without a completion adds nothing.
            options: what the config sets, plain values.

        Raises:
            ConfigError: the completion raises something that is not jaxtrain's own, or gives
                something else than options.
            JaxtrainError: what it raises of these says itself what is wrong.
        """
        completion = self._completions.get(name)
        if completion is None:
            return dict(options)
        try:
            further = dict(completion(dict(options)))
        except JaxtrainError:
            raise
        # Somebody else's code: it may raise anything, even SystemExit.
        except (Exception, SystemExit) as error:
            if out_of_memory(error) or (isinstance(error, OSError) and error.errno in STORAGE):
                raise
            raise ConfigError(
                f"{self.kind} {name!r}: {in_a_line(error)} "
                f"({place_of(error) or _called(completion)})"
            ) from error
        said = {key: value for key, value in options.items() if value is not None}
        return {**options, **further, **said}

    def build(self, section: pydantic.BaseModel, **context: Any) -> Any:
        """Call the factory named by `section.name`.

        Keyword-only parameters are read off `section`, the others off `context`, each by name.

        Raises:
            ConfigError: the factory asks for something that `context` does not hold, raises, or
                returns something else than it should. Names the component and its file.
            JaxtrainError: what the factory raises of these says itself what is wrong.
            OSError: the disk is full or broken.
            MemoryError: there is not enough of it.
        """
        factory = self[section.name]  # type: ignore[attr-defined]
        arguments: dict[str, Any] = {}
        for parameter in inspect.signature(factory).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                arguments[parameter.name] = getattr(section, parameter.name)
            elif parameter.name in context:
                arguments[parameter.name] = context[parameter.name]
            elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue  # of `*args` and `**kwargs` there are none
            elif parameter.default is parameter.empty:
                raise ConfigError(
                    f"{self.kind} {section.name!r} ({_file_of(factory)}) asks for "  # type: ignore[attr-defined]
                    f"{parameter.name!r}; the run offers {', '.join(sorted(context))}. Options "
                    "that the config sets stand after a `*` in the signature."
                )
        try:
            made = factory(**arguments)
        except JaxtrainError:
            raise
        # Somebody else's code: it may raise anything, even SystemExit.
        except (Exception, SystemExit) as error:
            if out_of_memory(error) or (isinstance(error, OSError) and error.errno in STORAGE):
                raise
            raise ConfigError(
                f"{self.kind} {section.name!r}: {in_a_line(error)} "  # type: ignore[attr-defined]
                f"({place_of(error) or _called(factory)})"
            ) from error
        if made is None or not isinstance(made, self.returns):
            raise ConfigError(
                f"{self.kind} {section.name!r}: expected "  # type: ignore[attr-defined]
                f"{_called(factory)} to return a {self._wanted()}, "
                f"found {_kind_of(made)}{self.hint and '; '}{self.hint}"
            )
        return made

    def _wanted(self) -> str:
        kinds = self.returns if isinstance(self.returns, tuple) else (self.returns,)
        return " or a ".join(self.kind if k is object else k.__name__ for k in kinds)


def _default(factory: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """What pydantic is to take where the config says nothing."""
    if parameter.default is parameter.empty:
        return ...
    if dataclasses.is_dataclass(factory):  # whose signature shows no more than that there is one
        for field in dataclasses.fields(factory):
            if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
                return pydantic.Field(default_factory=field.default_factory)
    return parameter.default


def _called(factory: Callable[..., Any]) -> str:
    name = getattr(factory, "__qualname__", None) or type(factory).__qualname__
    return f"{name} in {_file_of(factory)}"


def _file_of(factory: Callable[..., Any]) -> str:
    factory = inspect.unwrap(factory)
    return getattr(sys.modules.get(factory.__module__), "__file__", None) or factory.__module__


def _kind_of(value: Any) -> str:
    if value is None:
        return "None (is its `return` missing?)"
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def _same_cell(before: Callable[..., Any], now: Callable[..., Any]) -> bool:
    """Whether both were defined under one name in `__main__`, as by a cell that is run twice."""
    places = {(one.__module__, one.__qualname__) for one in (before, now)}
    return len(places) == 1 and now.__module__ == "__main__"
