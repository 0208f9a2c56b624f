"""Which loops there are, and which packages each of them needs.

framework = FRAMEWORKS["ignite"]
framework.missing()           # () where everything it needs is installed
run = framework.make(task)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from benchmarks.loops.tasks import Task

# Trains for so many epochs, and returns when the device is done with them.
Run = Callable[[int], None]


@dataclass(frozen=True)
class Framework:
    """A loop with its settings.

    Attributes:
        title: its row in the table.
        module: the file of this package that has `make`.
        needs: packages that must be importable.
        options: what `make` gets besides the task.
    """

    title: str
    module: str
    needs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def missing(self) -> tuple[str, ...]:
        """The needed packages that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    def make(self, task: Task) -> Run:
        """Build everything for `task`; imports the framework."""
        module = importlib.import_module(f"benchmarks.loops.{self.module}")
        run: Run = module.make(task, **self.options)
        return run


FRAMEWORKS = {
    "jaxtrain": Framework("jaxtrain", "with_jaxtrain"),
    "jaxtrain_single": Framework(
        "jaxtrain, not fused", "with_jaxtrain", options={"form": "single"}
    ),
    "jaxtrain_lean": Framework(
        "jaxtrain, no norm, no guard", "with_jaxtrain", options={"lean": True}
    ),
    "by_hand": Framework("JAX loop by hand", "by_hand"),
    "torch": Framework("PyTorch eager, by hand", "with_torch", needs=("torch",)),
    "ignite": Framework("Ignite, its quick start", "with_ignite", needs=("torch", "ignite")),
    "ignite_lean": Framework(
        "Ignite, at its leanest", "with_ignite", needs=("torch", "ignite"), options={"lean": True}
    ),
    "lightning": Framework("Lightning", "with_lightning", needs=("torch", "lightning")),
    "keras_1": Framework(
        "Keras on JAX, 1 a dispatch",
        "with_keras",
        needs=("keras",),
        options={"steps_per_execution": 1},
    ),
    "keras_50": Framework(
        "Keras on JAX, 50 a dispatch",
        "with_keras",
        needs=("keras",),
        options={"steps_per_execution": 50},
    ),
}
