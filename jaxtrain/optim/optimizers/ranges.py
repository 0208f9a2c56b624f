"""What options of optimizers may be; the same in each of them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import pydantic

Decay: TypeAlias = Annotated[float, pydantic.Field(ge=0, lt=1)]
"""Of an average: how much of it stays at each update."""

WeightDecay: TypeAlias = Annotated[float, pydantic.Field(ge=0, le=10)]

Epsilon: TypeAlias = Annotated[float, pydantic.Field(gt=0, le=1)]
"""Added to, or below, what is divided by."""
