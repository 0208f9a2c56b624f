"""Which arrays of a file are the inputs and labels of which set.

    find_keys(file.heads, {})    # {"train": ("x_train", "y_train"), "test": ("x_test", None)}

Recognised are x, X, inputs, data, images, features beside y, labels, label, target, targets: alone,
or with train, val, valid, validation, test before or behind (`x_train`, `test_images`); of two
arrays, whatever they are called, the one that looks like labels and the other one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from jaxtrain.data.arrays.npy import Head
from jaxtrain.errors import ConfigError, did_you_mean

Names: TypeAlias = dict[str, tuple[str, str | None]]

_ROLES = {
    "inputs": ("inputs", "input", "x", "data", "images", "features"),
    "labels": ("labels", "label", "y", "target", "targets"),
}
_SETS = {
    "": ("",),
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_MEANINGS = {
    spelling: (part, role)
    for role, bases in _ROLES.items()
    for part, words in _SETS.items()
    for base in bases
    for word in words
    for spelling in (base + word, word + base)
}


def find_keys(heads: Mapping[str, Head], told: Mapping[str, str | None]) -> Names:
    """The arrays of each set that the file has.

    Args:
        heads: the arrays by name.
        told: what the user has said: names by "inputs", "labels", "validation_inputs",
            "validation_labels", "test_inputs" and "test_labels", None where nothing was said.

    Returns:
        The names of inputs and labels by "train", "validation" and "test", as far as there are
        any; None in the place of labels that are not there.

    Raises:
        ConfigError: a name that is not there, or more arrays than one for the same role.
    """
    found = _recognised(heads)
    pairs: Names = {}
    for part in ("train", "validation", "test"):
        prefix = "" if part == "train" else f"{part}_"
        names = {}
        for role in _ROLES:
            name = told.get(prefix + role)
            if name is not None and name not in heads:
                raise ConfigError(
                    f"data.{prefix}{role}: no array {name!r} in the file"
                    f"{did_you_mean(name, heads)}; it has {listed(heads)}"
                )
            names[role] = name or _only(heads, found, part, prefix, role)
        if names["inputs"] is not None:
            pairs[part] = names["inputs"], names["labels"]
    if not pairs and len(heads) == 2:
        pairs |= _of_two(heads)
    return pairs


def listed(heads: Mapping[str, Head]) -> str:
    """The arrays, as messages list them."""
    return ", ".join(f"{name} {head}" for name, head in list(heads.items())[:20]) or "no array"


def _recognised(heads: Mapping[str, Head]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for name in heads:
        meaning = _MEANINGS.get(re.sub(r"[^a-z0-9]", "", name.lower()))
        if meaning is not None:
            found.setdefault(meaning, []).append(name)
    return found


def _only(
    heads: Mapping[str, Head],
    found: Mapping[tuple[str, str], list[str]],
    part: str,
    prefix: str,
    role: str,
) -> str | None:
    names = found.get((part, role), [])
    if not names and part == "train":
        names = found.get(("", role), [])
    if len(names) > 1:
        raise ConfigError(
            f"both {' and '.join(names)} could be the {role} of the {part} set; name one, as "
            f"data.{prefix}{role}={names[0]}, of {listed(heads)}"
        )
    return names[0] if names else None


def _of_two(heads: Mapping[str, Head]) -> Names:
    """The pair that two arrays of odd names are, where their shapes leave no doubt."""
    thin = [name for name, head in heads.items() if _is_thin(head)]
    wide = [name for name, head in heads.items() if not _is_thin(head)]
    if len(thin) != 1 or not heads[wide[0]].shape or not heads[thin[0]].shape:
        return {}
    if heads[thin[0]].shape[0] != heads[wide[0]].shape[0]:
        return {}
    return {"train": (wide[0], thin[0])}


def _is_thin(head: Head) -> bool:
    return len(head.shape) < 2 or (len(head.shape) == 2 and head.shape[1] == 1)
