"""Values that a config.py may hold and a config may not, as the plain ones that they stand for.

    as_plain(np.int64(3)), as_plain(Path("data")), as_plain(Settings(rate=0.1))
    # 3, "data", {"rate": 0.1}

Only what can mean one thing: an Enum may mean its name or its value, a set has no order, and so
they are left as they are, for the schema to refuse.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import types
from typing import Any

import pydantic


def as_plain(value: Any) -> Any:
    """`value`, or what it stands for: a section of a record, a number or list of an array, a path's
    text. What is inside of it is not looked at.

    >>> as_plain(types.SimpleNamespace(a=1)), as_plain({3}), as_plain("x")
    ({'a': 1}, {3}, 'x')
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, pydantic.BaseModel):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, (types.SimpleNamespace, argparse.Namespace)):
        return dict(vars(value))
    # Of numpy, jax or torch. numpy's float64 is a float as well, but no file can hold it.
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value
