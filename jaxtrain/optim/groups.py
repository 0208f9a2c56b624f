"""Groups of parameters, by patterns over their paths: each with an optimizer of its own, or held.

    groups = {"no_decay": ("*/bias", "*/scale"), "head": ("head/*",)}
    group_names(params, groups)              # a tree like params, of "no_decay", "head" and ""
    tx = grouped({"": adamw(1e-3), "no_decay": adamw(1e-3, weight_decay=0.0),
                  "head": adamw(1e-2)}, groups)
    held(params, ("stem/*",))                # a tree of bools: which are to stay as they are

A path is made of keys joined by "/", as in `hidden_0/kernel`. Patterns are those of a shell:
`*` stands for any text, also over several parts, `?` for a character, `[ab]` for one of some; a
pattern matches a whole path, and case counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax
import optax

from jaxtrain.errors import ConfigError

REST = ""
"""What belongs to no group."""

_SHOWN = 30


def grouped(
    transformations: Mapping[str, optax.GradientTransformation],
    groups: Mapping[str, Sequence[str]],
) -> optax.GradientTransformationExtraArgs:
    """Each group's parameters are moved by its own transformation; those of none by `REST`'s.

    Args:
        transformations: by the name of the group.
        groups: the patterns of each.

    Raises:
        ConfigError: a group has no transformation; (from `init` and `update`) a pattern matches
            nothing, or a parameter is in two groups.
    """
    if missing := sorted({REST, *groups} - transformations.keys()):
        raise ConfigError(f"groups: no optimizer for {', '.join(map(repr, missing))}")
    return optax.with_extra_args_support(
        optax.partition(dict(transformations), lambda params: group_names(params, groups))
    )


def group_names(params: Any, groups: Mapping[str, Sequence[str]]) -> Any:
    """A tree like `params` with the name of each leaf's group; `REST` where it is in none.

    Raises:
        ConfigError: a pattern matches nothing, a parameter is in two groups, or all are in one.

    >>> group_names({"head": {"bias": 1, "kernel": 2}}, {"small": ["*/bias"]})
    {'head': {'bias': 'small', 'kernel': ''}}
    """
    paths, treedef = _paths(params)
    found: dict[str, str] = {}
    for name, patterns in groups.items():
        for path in matching(paths, patterns, where=f"group {name!r}"):
            if path in found:
                raise ConfigError(
                    f"groups: {path!r} is in two, {found[path]!r} and {name!r}; have one pattern "
                    "say less"
                )
            found[path] = name
    if paths and len(found) == len(paths):
        raise ConfigError(
            "groups: every parameter is in a group, and nothing is left for the optimizer itself; "
            "say what holds for most of them in its own section"
        )
    return jax.tree.unflatten(treedef, [found.get(path, REST) for path in paths])


def held(params: Any, patterns: Sequence[str]) -> Any:
    """A tree like `params` of bools: what a pattern matches.

    Raises:
        ConfigError: a pattern matches nothing, or nothing would be left to train.

    >>> held({"stem": 1, "head": 2}, ["st*"])
    {'head': False, 'stem': True}
    """
    paths, treedef = _paths(params)
    names = set(matching(paths, patterns, where="freeze"))
    if names and len(names) == len(paths):
        raise ConfigError(f"freeze: {_told(patterns)} match every parameter; nothing would learn")
    return jax.tree.unflatten(treedef, [path in names for path in paths])


def matching(paths: Sequence[str], patterns: Sequence[str], *, where: str) -> list[str]:
    """Those of `paths` that a pattern matches, in their order.

    Args:
        paths: keys joined by "/".
        patterns: those of a shell.
        where: what they are for, for messages.

    Raises:
        ConfigError: a pattern matches nothing; it lists the paths.
    """
    for pattern in patterns:
        if paths and not any(fnmatchcase(path, pattern) for path in paths):
            shown = list(paths[:_SHOWN]) + (["..."] if len(paths) > _SHOWN else [])
            raise ConfigError(
                f"{where}: the pattern {pattern!r} matches no parameter; these are\n  "
                + "\n  ".join(shown)
            )
    return [path for path in paths if any(fnmatchcase(path, pattern) for pattern in patterns)]


def _paths(params: Any) -> tuple[list[str], Any]:
    leaves, treedef = jax.tree_util.tree_flatten_with_path(params)
    return [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in leaves], treedef


def _told(patterns: Sequence[str]) -> str:
    return ", ".join(map(repr, patterns))
