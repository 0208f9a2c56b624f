"""Optuna's samplers by name, each made anew for a trial from a seed that is the trial's own.

    make = sampler_maker(OptunaSection(sampler="tpe", options={"multivariate": True}), seed=0)
    study.sampler = make(3)             # for the fourth trial of the study

What a trial is asked to be is then a function of the study before it and of its place there: not of
what the process asked before, nor of which machine asks.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.sweeps.config import OptunaSection

# Optuna imports these when it first samples: too late for who has trained a batch by then.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "cmaes": ("cmaes",),
    "gp": ("scipy", "torch"),
    "qmc": ("scipy",),
}

_REFUSED: Mapping[str, str] = {
    "bruteforce": "search: grid has it, without a study",
    "grid": "search: grid has it, without a study",
    "partialfixed": "leave what is fixed out of the space, and set it in the config",
}


def sampler_maker(section: OptunaSection, *, seed: int) -> Callable[[int], Any]:
    """What makes the sampler of a trial, given its place in the study.

    Args:
        section: names the sampler and its options.
        seed: of the sweep.

    Raises:
        ConfigError: there is no such sampler; it has no such option, or refuses a value; or a
            package that it wants is missing.
    """
    from optuna import samplers

    known = {
        name.removesuffix("Sampler").lower(): getattr(samplers, name)
        for name in samplers.__all__
        if name.endswith("Sampler") and not inspect.isabstract(getattr(samplers, name))
    }
    name = section.sampler.lower().replace("_", "")
    usable = sorted(known.keys() - _REFUSED.keys())
    if name not in usable:
        why = f": {_REFUSED[name]}" if name in _REFUSED else did_you_mean(section.sampler, usable)
        raise ConfigError(
            f"optuna.sampler: expected one of {', '.join(usable)}, found {section.sampler!r}{why}"
        )
    missing = [each for each in _NEEDS.get(name, ()) if importlib.util.find_spec(each) is None]
    if missing:
        raise ConfigError(
            f"optuna.sampler: {section.sampler!r} wants {' and '.join(missing)}, not installed "
            f"here: pip install {' '.join(missing)}; or take another one"
        )
    _refuse_options(section, known[name])

    def make(place: int) -> Any:
        own = _seed(seed, place)
        options = dict(section.options)
        if name == "qmc":
            # The trials are points of one sequence, which its seed names; where a trial stands in
            # it, the study knows. What is drawn beside it (categories, by Optuna 4) is its own.
            options.setdefault("independent_sampler", samplers.RandomSampler(seed=own))
            own = _seed(seed, 0)
        return known[name](**options, seed=own)

    try:
        make(0)
    except (TypeError, ValueError, AttributeError, RuntimeError, ImportError) as error:
        raise ConfigError(f"optuna.options: {section.sampler!r} refuses them: {error}") from None
    return make


def _refuse_options(section: OptunaSection, sampler: Any) -> None:
    parameters = inspect.signature(sampler).parameters.values()
    takes = sorted(each.name for each in parameters if each.name not in ("self", "seed"))
    for key in section.options:
        if key == "seed":
            raise ConfigError("optuna.options.seed: each trial has its own, of the sweep's seed")
        if key not in takes:
            raise ConfigError(
                f"optuna.options.{key}: unknown option of {section.sampler!r}"
                f"{did_you_mean(key, takes)} (known: {', '.join(takes)})"
            )


def _seed(seed: int, place: int) -> int:
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0] % 2**31)
