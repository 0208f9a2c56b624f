"""A text with gaps, which a record fills.

Template("{question}\\nA. {A}", option="data.prompt").fill(record.cell)
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtrain.errors import ConfigError


@dataclass(frozen=True)
class Template:
    """Text, and `{name}` where a value is to stand; `{{` and `}}` are braces.

    Args:
        text: the template. A name is only a name: nothing of a value can be reached but itself.
        option: what messages call it.

    Raises:
        ConfigError: its braces don't match, or one holds more than a name.
    """

    text: str
    option: str
    _parts: tuple[tuple[str, str | None], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            parsed = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise ConfigError(
                f"{self.option}: {self.text!r}: {error}; a brace is written twice"
            ) from None
        for _, name, form, conversion in parsed:
            if name == "" or form or conversion:
                raise ConfigError(
                    f"{self.option}: {self.text!r}: expected names in braces, and nothing else"
                )
        object.__setattr__(self, "_parts", tuple((part, name) for part, name, _, _ in parsed))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that stand in it."""
        return tuple(name for _, name in self._parts if name is not None)

    def fill(self, value: Callable[[str], str]) -> str:
        """The text, with what `value` says of each name.

        >>> Template("{a}, {{b}}", option="x").fill(lambda name: name.upper())
        'A, {b}'
        """
        return "".join(part + ("" if name is None else value(name)) for part, name in self._parts)
