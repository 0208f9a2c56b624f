"""The entries of a JSON object that somebody else has written, each read as what it should be.

given = Entries({"hidden_size": 64}, "tiny/config.json")
given.size("hidden_size")                       # 64, or a ConfigError that names file and key
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtrain.errors import ConfigError
from jaxtrain.models.hf.strict_json import quoted

_MOST = 2**31 - 1
_MOST_NUMBER = 1e30  # float32 has room for it, and for its reciprocal


class Entries:
    """Entries, and what to call the place where they are.

    Args:
        entries: by key.
        place: begins the messages.
    """

    def __init__(self, entries: Mapping[str, Any], place: str) -> None:
        self.entries = entries
        self.place = place

    def wrong(self, key: str, expected: str, found: Any) -> ConfigError:
        """What to raise where `found` is not what a key may hold."""
        return ConfigError(f"{self.place}: {key}: expected {expected}, found {quoted(found)}")

    def refuse_unless(self, key: str, allowed: tuple[Any, ...]) -> None:
        """See that a key is absent or holds one of some values that leave the model as it is."""
        if key not in self.entries:
            return
        found = self.entries[key]
        # 0 and False are equal in Python, and both are off.
        if isinstance(found, list | dict) or found not in allowed:
            shown = " or ".join("null" if a is None else str(a).lower() for a in allowed)
            raise ConfigError(
                f"{self.place}: {key}: expected {shown}, found {quoted(found)}; the decoder does "
                "not do this"
            )

    def size(self, key: str, default: int | None = None) -> int:
        """A whole number from 1; `default` where it is absent or null and there is one."""
        found = self.entries.get(key)
        if found is None and default is not None:
            return default
        if type(found) is not int or not 1 <= found <= _MOST:
            raise self.wrong(key, "a whole number from 1", found)
        return found

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number above 0; `default` where it is absent or null and there is one."""
        found: Any = self.entries.get(key)
        if found is None and default is not None:
            return default
        if type(found) not in (int, float) or not 0 < found < _MOST_NUMBER:  # NaN is neither
            raise self.wrong(key, "a number above 0", found)
        return float(found)

    def flag(self, key: str, default: bool) -> bool:
        """True or false; `default` where it is absent or null."""
        found = self.entries.get(key)
        if found is None:
            return default
        if not isinstance(found, bool):
            raise self.wrong(key, "true or false", found)
        return found
