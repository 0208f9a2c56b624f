"""What a sweep is to do, checked.

sweep = SweepConfig.of("sweep.yaml")
sweep.space.keys, sweep.search, sweep.members

search: random
members: 64
space:
optimizer.learning_rate: {log_uniform: [1.0e-4, 1.0e-1]}
model.dropout: {uniform: [0.0, 0.5]}
halving: {first: 3, factor: 3}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field

from jaxtrain.config import load_plain
from jaxtrain.config.problems import problem_of
from jaxtrain.config.schema import Section
from jaxtrain.errors import ConfigError
from jaxtrain.metrics import Mode
from jaxtrain.sweeps.space import Space

_OPTUNA_BATCH = 16


class HalvingSection(Section):
    """Successive halving: who goes on behind so many epochs."""

    first: int = Field(ge=1)  # epochs of the first rung
    factor: int = Field(default=3, ge=2)  # one in so many goes on; rungs grow by it


class MeshSection(Section):
    """How a sweep lies on several devices; its members take what is left."""

    data: int = Field(default=1, ge=1)  # over so many each member's batch is split


class OptunaSection(Section):
    """What Optuna is to do; see `jaxtrain.sweeps.optuna_search`."""

    sampler: str = "tpe"
    options: dict[str, Any] = Field(default_factory=dict)
    storage: str | None = None  # an address as SQLAlchemy has them; null: in the sweep's directory
    study: str = Field(default="sweep", min_length=1)

    @pydantic.model_validator(mode="after")
    def _named_where_others_are(self) -> OptunaSection:
        if self.storage is not None and "study" not in self.model_fields_set:
            raise ValueError("storage wants a study: a database has several, name this sweep's")
        return self


class _File(Section):
    """A sweep's file."""

    space: dict[str, Any]
    search: Literal["grid", "random", "optuna"] = "random"
    members: int | None = Field(default=None, ge=1, le=10**6)
    batch: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**31)
    monitor: str | None = None
    mode: Mode | None = None
    order: Literal["auto", "together", "in_turn"] = "auto"
    mesh: MeshSection = MeshSection()
    halving: HalvingSection | None = None
    optuna: OptunaSection | None = None


class SweepConfig:
    """A checked sweep.

    Attributes:
        space: what is searched.
        search: by whom.
        members: in all.
        batch: asked for and trained at once.
        seed: of what is drawn.
        monitor: which figure counts; None for that of the config's checkpoints.
        mode: which way it gets better; likewise.
        order: how members are computed, as `Engine(order=)`; None leaves it to the rule.
        mesh: over how many devices a member's batch is split.
        halving: who goes on; None for all.
        optuna: for `search: optuna`.
        source: where it stands, for what is said of its values.
    """

    def __init__(self, tree: Mapping[str, Any], source: str = "the sweep") -> None:
        self.source = source
        try:
            checked = _File.model_validate(dict(tree))
        except pydantic.ValidationError as error:
            raise ConfigError(_problems(error, tree)) from None
        self.space = Space.of(checked.space)
        self.search = checked.search
        self.halving, self.seed = checked.halving, checked.seed
        self.monitor, self.mode = checked.monitor, checked.mode
        self.order = None if checked.order == "auto" else checked.order
        self.mesh = checked.mesh
        if self.mesh.data > 1 and self.order == "in_turn":
            raise ConfigError(
                f"mesh.data {self.mesh.data}: members in turn go through one device; set order: "
                "together, or leave mesh out"
            )
        if self.halving is not None and "train.epochs" in self.space.keys:
            raise ConfigError(
                "halving: compares members behind as many epochs, and the space has train.epochs; "
                "leave one of them out"
            )
        if checked.optuna is not None and self.search != "optuna":
            raise ConfigError(f"optuna: is for search: optuna, found search: {self.search}")
        self.optuna = checked.optuna or OptunaSection()
        if self.search == "grid":
            count = sum(1 for _ in self.space.grid())
            if checked.members not in (None, count):
                raise ConfigError(
                    f"members: the grid has {count}, found {checked.members}; leave it out"
                )
            self.members = count
        elif checked.members is None:
            raise ConfigError("members: expected how many there are to be in all, found none")
        else:
            self.members = checked.members
        default = _OPTUNA_BATCH if self.search == "optuna" else self.members
        self.batch = min(checked.batch or default, self.members)

    @classmethod
    def of(cls, path: str | Path) -> SweepConfig:
        """Read and check a file.

        Raises:
            ConfigError: what is wrong with it, key by key.
        """
        tree = load_plain(path)
        try:
            return cls(tree, str(path))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """All of it, as a file has it."""
        return {
            "search": self.search,
            "members": self.members,
            "batch": self.batch,
            "seed": self.seed,
            "monitor": self.monitor,
            "mode": self.mode,
            "order": self.order or "auto",
            "mesh": self.mesh.model_dump(),
            "space": self.space.to_json(),
            "halving": None if self.halving is None else self.halving.model_dump(),
            "optuna": self.optuna.model_dump() if self.search == "optuna" else None,
        }


def _problems(error: pydantic.ValidationError, tree: Mapping[str, Any]) -> str:
    told = []
    for detail in error.errors(include_url=False):
        path, text = problem_of(detail, _File, tree)
        told.append(f"{'.'.join(path)}: {text}")
    return "\n".join(told)
