"""What keeps a new adapter from spoiling what was learnt before it.

    protection = Protection(orthogonal=0.1, previous_kl=1.0, project=0.5)
    model = lora.model(base, config, protection=protection)
    frozen = frozen_for(params, config, protection, earlier=[first, second])
    state = create_train_state(model, tx, batch, rng=rng, params=adapter, frozen=frozen)
    adapter_of(state)                        # to be saved and merged, projected where it has to be

Where something is protected, `frozen` is a dict of its own: the base, which is what it was, and
what the protections read. None of it is a constant of the program.

Axes: I inputs, O outputs, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.overlap import earlier_inputs, overlap
from jaxtrain.lora.subspace import Directions, directions, projected
from jaxtrain.lora.targets import find_targets

_WAYS = ("orthogonal", "previous_kl", "project")

SOWN = "protection"
"""The collection that a step's `output["sown"]` has the terms in, without their weights."""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Three ways, each off at 0; they add up. None costs anything in evaluation but `project`.

    Attributes:
        orthogonal: a weight on the overlap of the adapter's inputs with those of earlier ones
            (O-LoRA, Wang et al. 2023, arXiv:2310.14152; their code takes 0.5, of another norm).
        previous_kl: a weight on the Kullback-Leibler divergence, in nats, of the predictions from
            those of the base, on the same batch: the base is the phase before, merged.
        project: the share of each kernel's singular directions, those of the largest values first,
            that no update may touch, below 1 (as OSF, Nayak et al. 2025, arXiv:2504.07097).
        earlier_rank: how much room there is for the ranks of earlier adapters together, of
            `orthogonal`: a state has it whether there are so many or not.
    """

    orthogonal: float = 0.0
    previous_kl: float = 0.0
    project: float = 0.0
    earlier_rank: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.earlier_rank, bool) or not isinstance(self.earlier_rank, int):
            raise ConfigError(
                f"protection.earlier_rank: expected a whole number, found {self.earlier_rank!r}"
            )
        for name in _WAYS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"protection.{name}: expected a number, found {value!r}")
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"protection.{name}: expected at least 0, found {value}")
            object.__setattr__(self, name, float(value))
        if not self.project < 1:
            raise ConfigError(
                f"protection.project: expected less than 1, found {self.project}; of a kernel "
                "whose directions are all held an adapter can change nothing"
            )

    @property
    def active(self) -> dict[str, float]:
        """The ways that are on.

        >>> Protection(project=0.5).active
        {'project': 0.5}
        """
        each = {name: getattr(self, name) for name in _WAYS}
        return {name: value for name, value in each.items() if value}

    @property
    def penalties(self) -> dict[str, float]:
        """Those of them that join the loss.

        >>> Protection(orthogonal=0.1, project=0.5).penalties
        {'orthogonal': 0.1}
        """
        return {name: value for name, value in self.active.items() if name != "project"}

    @property
    def parts(self) -> frozenset[str]:
        """The keys of `frozen`; none where nothing is protected, and it is the base alone."""
        reads = {"orthogonal": "earlier", "previous_kl": "base", "project": "directions"}
        return frozenset(["base"] if self.active else []) | {reads[name] for name in self.active}


def refuse_misfits(config: LoRAConfig, protection: Protection) -> None:
    """Kinds of adapters that a protection does not protect from.

    Raises:
        ConfigError: for those.
    """
    if protection.project and config.dora:
        raise ConfigError(
            "protection.project: with DoRA magnitudes scale what is held as well; take one of both"
        )
    if config.init == "pissa" and (protection.project or protection.previous_kl):
        name = "project" if protection.project else "previous_kl"
        raise ConfigError(
            f'protection.{name}: with init="pissa" the base lacks its largest directions, which '
            "the adapter begins with; take another beginning"
        )


def frozen_for(
    params: Any,
    config: LoRAConfig,
    protection: Protection | None,
    *,
    earlier: Sequence[Adapter] = (),
) -> Any:
    """What a state is given as `frozen`.

    Args:
        params: the base: what the phase before has become, merged. It is handed on as it is.
        config: of the adapter to come.
        protection: as `lora.model` was given it.
        earlier: adapters of the phases before, for `orthogonal`; others don't read them.

    Returns:
        `params`, where nothing is protected; else `{"base": params}`, with "earlier", what earlier
        adapters read (`[..., I, C]` by path), where `orthogonal` is on, and "directions" where
        `project` is.

    Raises:
        ConfigError: see `earlier_inputs` and `directions`.
    """
    if protection is None or not protection.active:
        return params
    refuse_misfits(config, protection)
    frozen = {"base": params}
    if protection.orthogonal:
        frozen["earlier"] = earlier_inputs(
            earlier, find_targets(params, config), params, room=protection.earlier_rank
        )
    if protection.project:
        frozen["directions"] = directions(params, config, protection.project)
    return frozen


def adapter_of(state: Any) -> Adapter:
    """The adapter of a TrainState, as it acts: to be saved, merged, and handed to a next phase."""
    adapter, frozen = state.params, state.frozen
    if not isinstance(adapter, Adapter):
        raise ConfigError(
            f"adapter_of: expected a state that trains an Adapter, found a {type(adapter).__name__}"
        )
    held = frozen.get("directions") if isinstance(frozen, Mapping) else None
    return projected(adapter, held) if isinstance(held, Directions) else adapter


def base_of(frozen: Any, protection: Protection | None) -> Any:
    """The base among what is frozen.

    Raises:
        ConfigError: `frozen` was made for other protections.
    """
    if protection is None or not protection.active:
        return frozen
    found = set(frozen) if isinstance(frozen, Mapping) else set()
    if found != protection.parts:
        raise ConfigError(
            f"lora.model: expected frozen to be a dict of {', '.join(sorted(protection.parts))}, "
            f"found {', '.join(sorted(map(str, found)))}; make it with lora.frozen_for(params, "
            "config, protection, earlier=...)"
        )
    return frozen["base"]


def acting(adapter: Adapter, frozen: Any, protection: Protection | None) -> Adapter:
    """The adapter that a pass sees: without what it may not touch."""
    if protection is None or not protection.project:
        return adapter
    return projected(adapter, frozen["directions"])


def terms(
    adapter: Adapter, frozen: Any, protection: Protection, kl: jax.Array | None
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """What joins the loss, and the same without weights, by name: float32 scalars.

    Args:
        adapter: as it acts.
        frozen: see `frozen_for`.
        protection: which.
        kl: where there is `previous_kl`.
    """
    plain: dict[str, jax.Array] = {}
    if protection.orthogonal:
        plain["orthogonal"] = overlap(adapter, frozen["earlier"])
    if kl is not None:
        plain["previous_kl"] = kl
    return {name: protection.active[name] * value for name, value in plain.items()}, plain
