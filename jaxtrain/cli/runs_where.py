"""`--where`: a condition on a figure of a run.

    condition = Condition.of("val/accuracy > 0.9")
    condition.holds({"val/accuracy": 0.97})          # True
    condition.holds({})                              # False: nobody knows

A name, one of `<`, `<=`, `>`, `>=`, `==` and `!=`, and a number; blanks do not matter.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jaxtrain.errors import ConfigError

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_PATTERN = re.compile(r"\s*([^<>=!]*[^<>=!\s])\s*(<=|>=|==|!=|<|>)\s*([^<>=!\s]+)\s*")


@dataclass(frozen=True)
class Condition:
    """That a figure is above, below or just at a number.

    Attributes:
        name: of the figure.
        operator: one of the six.
        number: what it is compared with.
    """

    name: str
    operator: str
    number: float

    @classmethod
    def of(cls, text: str) -> Condition:
        """The condition that `text` means.

        Raises:
            ConfigError: it means none.

        >>> Condition.of("val/loss<=1e-3")
        Condition(name='val/loss', operator='<=', number=0.001)
        """
        found = _PATTERN.fullmatch(text)
        number = math.nan
        if found is not None:
            try:
                number = float(found[3])
            except ValueError:
                found = None
        if found is None or math.isnan(number):
            raise ConfigError(
                f"--where: expected a name, one of {' '.join(_OPERATORS)} and a number, for "
                f"instance 'val/accuracy > 0.9'; found {text!r}"
            )
        return cls(found[1], found[2], number)

    def holds(self, figures: Mapping[str, float]) -> bool:
        """Whether it does; of a figure that is not there nothing does."""
        return self.name in figures and _OPERATORS[self.operator](figures[self.name], self.number)
