"""A dict that can't be written to: the `hooks` of a checked config.

FrozenDict({"a": 1})["a"], FrozenDict({"a": 1}) == {"a": 1}    # (1, True)
FrozenDict({"a": 1}).clear()                                   # FrozenConfigError
"""

from __future__ import annotations

from typing import Any, NoReturn

from jaxtrain.errors import FrozenConfigError


def refuse_write(key: object) -> NoReturn:
    """Raise the error of a write to a checked config."""
    raise FrozenConfigError(
        f"cannot write {key!r}: a checked config is frozen; "
        "change the ConfigDict it came from and check that again"
    )


class FrozenDict(dict[str, Any]):
    """A dict in every way but that. What `|` and `copy()` make of it is an ordinary one."""

    def __setitem__(self, key: str, value: Any) -> NoReturn:
        refuse_write(key)

    def __delitem__(self, key: str) -> NoReturn:
        refuse_write(key)

    def __ior__(self, other: Any) -> NoReturn:  # type: ignore[misc]
        refuse_write("...")

    def update(self, *other: Any, **values: Any) -> NoReturn:
        """Refused, as are the others."""
        refuse_write(", ".join(values) or "...")

    def setdefault(self, key: str, default: Any = None) -> NoReturn:
        """Refused."""
        refuse_write(key)

    def pop(self, key: str, *default: Any) -> NoReturn:
        """Refused."""
        refuse_write(key)

    def popitem(self) -> NoReturn:
        """Refused."""
        refuse_write("...")

    def clear(self) -> NoReturn:
        """Refused."""
        refuse_write("...")

    def __reduce__(self) -> Any:  # copies and pickles of a dict are filled key by key otherwise
        return type(self), (dict(self),)
