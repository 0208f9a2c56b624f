"""Which modules PEFT adapts by a config, with which rank and alpha.

    rules = Rules(targets=("q_proj",), layers=(1,), rank=8, alpha=16.0)
    rules.select(["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"], ())
    # {"model.layers.1.self_attn.q_proj": (8, 16.0)}

The rules are those of PEFT 0.21 (`check_target_module_exists` and `get_pattern_key`), which differ
from ours where layers are chosen: a name that is a target as a whole is one in any layer, and what
the number of a layer is depends on the name before it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from jaxtrain.lora.config import ALL_LINEAR, Pairs, Pattern, first_match

Chosen = Mapping[str, tuple[int, float]]
"""The rank and the alpha of each module that has an adapter, by name."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What of an adapter_config.json says which modules there are.

    Attributes:
        targets: `target_modules`; None chooses nothing by itself.
        exclude: `exclude_modules`.
        layers: `layers_to_transform`; None, or no number, is all. Only with a list of targets.
        layers_pattern: what may stand before the number of a layer; any name where there is none.
        rank: of what has none in `rank_pattern`.
        alpha: likewise.
        rank_pattern: ranks by the end of a name; the first that matches counts.
        alpha_pattern: likewise.
    """

    targets: Pattern | None
    exclude: Pattern = ()
    layers: tuple[int, ...] | None = None
    layers_pattern: tuple[str, ...] = ()
    rank: int = 8
    alpha: float = 8.0
    rank_pattern: Pairs = ()
    alpha_pattern: Pairs = ()

    def select(
        self, names: Iterable[str], nonlinear: Collection[str]
    ) -> dict[str, tuple[int, float]]:
        """The modules that get an adapter.

        Args:
            names: of all modules.
            nonlinear: which of them "all-linear" leaves out: embeddings, and the output head.
        """
        return {
            name: self.values(name)
            for name in names
            if not self._is_excluded(name) and self._is_target(name, nonlinear)
        }

    def values(self, name: str) -> tuple[int, float]:
        """The rank and the alpha of a module, if it gets an adapter."""
        return (
            int(first_match(self.rank_pattern, name, self.rank)),
            float(first_match(self.alpha_pattern, name, self.alpha)),
        )

    def idle(self, names: Collection[str]) -> list[str]:
        """The targets that are no module's name, whatever is excluded and in whichever layer."""
        if self.targets is None or self._is_all_linear:
            return []
        if isinstance(self.targets, str):
            there = any(re.fullmatch(self.targets, name) for name in names)
            return [] if there else [self.targets]
        return [each for each in self.targets if not any(_is_or_ends_in(each, n) for n in names)]

    @property
    def _is_all_linear(self) -> bool:
        return isinstance(self.targets, str) and self.targets.lower() == ALL_LINEAR

    def _is_excluded(self, name: str) -> bool:
        if isinstance(self.exclude, str):
            return re.fullmatch(self.exclude, name) is not None
        return any(_is_or_ends_in(each, name) for each in self.exclude)

    def _is_target(self, name: str, nonlinear: Collection[str]) -> bool:
        if self.targets is None:
            return False
        if self._is_all_linear:
            return name not in nonlinear
        if isinstance(self.targets, str):
            return re.fullmatch(self.targets, name) is not None
        if name in self.targets:
            return True
        found = any(_is_or_ends_in(each, name) for each in self.targets)
        return found and (not self.layers or self._layer(name) in self.layers)

    def _layer(self, name: str) -> int | None:
        if not self.layers_pattern:
            found = re.match(r".*?\.[^.]*\.(\d+)\.", name)
            return int(found[1]) if found else None
        for pattern in self.layers_pattern:
            if found := re.match(rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.", name):
                return int(found["idx"]) if found["idx"] is not None else None
        return None


def _is_or_ends_in(each: str, name: str) -> bool:
    return name == each or name.endswith(f".{each}")
