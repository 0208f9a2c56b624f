"""How a module wants to be called: which of its arguments says that it is in training.

    call_options(module, batch, train=True)      # {"deterministic": False, "mask": ...}

Modules of the field name that argument in five ways. One that has dropout or batch statistics and
none of them would never be told, and train on in silence as if it were evaluated.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from jaxtrain.batch import Batch, entry, full_mask, row_mask
from jaxtrain.errors import ConfigError

TRAINING = ("train", "training", "is_training")
EVALUATING = ("deterministic", "use_running_average")


def switches(*, train: bool) -> dict[str, bool]:
    """The known names of the switch, each with its value.

    >>> switches(train=True)["deterministic"]
    False
    """
    return dict.fromkeys(TRAINING, train) | dict.fromkeys(EVALUATING, not train)


def has_switch(module: Any) -> bool:
    """Whether the `__call__` of a module names a known switch in its signature."""
    return not switches(train=True).keys().isdisjoint(_parameters(module))


def call_options(module: Any, batch: Batch, *, train: bool) -> dict[str, Any]:
    """What the `__call__` of `module` names in its signature of what there is to give.

    That is a switch; `mask`, what counts (`[B]` or `[B, ...]`, see `jaxtrain.batch.full_mask`); and
    `row_mask` `[B]`, which rows count. A mask is None where the batch has none.
    """
    wanted = _parameters(module)
    offered = {"mask": full_mask, "row_mask": row_mask}
    given = {name: value for name, value in switches(train=train).items() if name in wanted}
    return given | {name: read(batch) for name, read in offered.items() if name in wanted}


def inputs_of(batch: Batch, inputs: str | Iterable[str]) -> tuple[Any, ...]:
    """The entries of a batch that a module is called with, in order.

    >>> inputs_of({"left": 1, "right": 2}, ("left", "right"))
    (1, 2)
    """
    names = (inputs,) if isinstance(inputs, str) else inputs
    return tuple(entry(batch, name) for name in names)


def refuse_deaf(module: Any, parts: Iterable[str]) -> None:
    """Refuse a module that has `parts` to switch and no switch.

    Raises:
        ConfigError: with the argument to add.
    """
    found = ", ".join(dict.fromkeys(parts))
    if found:
        raise ConfigError(
            f"{type(module).__name__} has {found}, which training and evaluation use differently, "
            f"but nobody can tell it which it is: add an argument `train` to "
            f"{type(module).__name__}.__call__ (or {', '.join((*TRAINING[1:], *EVALUATING))}) and "
            "hand it on. Where the two are to be the same, add it all the same and do not read it"
        )


def _parameters(module: Any) -> Any:
    return inspect.signature(type(module).__call__).parameters
