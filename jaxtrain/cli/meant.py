"""What an option that nobody knows may have been meant to be: an option, or a key of the config.

    options_meant("--conifg", ["--config", "--seed"])     # "; did you mean --config?"
    options_meant("--lr", [])        # "; did you mean --config.optimizer.learning_rate=VALUE?"

Every key is known, those of the components, too. They are read when somebody has mistyped, and not
before: that takes the libraries.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

# What other programs call them.
_SHORT = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "wd": "weight_decay",
    "batch": "batch_size",
    "model": "model.name",
    "data": "data.name",
    "dataset": "data.name",
    "loss": "loss.name",
    "optimizer": "optimizer.name",
    "scheduler": "schedule.name",
    "layers": "hidden",
    "output": "workdir",
    "output_dir": "workdir",
    "out": "workdir",
}
_MOST = 3
_NEAR = 0.75


def options_meant(word: str, options: Iterable[str]) -> str:
    """`"; did you mean --config.train.epochs=VALUE?"`, or which options there are.

    Args:
        word: an unknown option, with or without `=VALUE`.
        options: those of the command.
    """
    wanted = word.partition("=")[0].lstrip("-").replace("-", "_")
    known = {o: o.lstrip("-").replace("-", "_") for o in options if o.startswith("--")}
    keys = list(dict.fromkeys(_keys())) if "--config" in known else []
    found = (
        [option for option, name in known.items() if name == wanted]
        or [_written(key) for key in _called(wanted, keys)]
        or [option for option in known if option[2:] in _near(wanted, known.values())]
        or [_written(key) for key in _called_nearly(wanted, keys)]
    )
    if found:
        return f"; did you mean {' or '.join(found[:_MOST])}?"
    return f" (options: {', '.join(known)}{', --config.SECTION.KEY=VALUE' if keys else ''})"


def _written(key: str) -> str:
    return f"--{key}=VALUE" if key in ("seed", "device", "workdir") else f"--config.{key}=VALUE"


def _called(wanted: str, keys: list[str]) -> list[str]:
    """The keys of just that name, be it the whole of it or its last part."""
    wanted = wanted.removeprefix("config.")
    for name in (wanted, _SHORT.get(wanted)):
        found = [key for key in keys if name is not None and f".{key}".endswith(f".{name}")]
        if found:
            return found
    return []


def _called_nearly(wanted: str, keys: list[str]) -> list[str]:
    """The keys whose name is nearest: of the last part, or of all of it where there are dots."""
    wanted = wanted.removeprefix("config.")
    dots = wanted.count(".")
    parts = {key: ".".join(key.split(".")[-1 - dots :]) for key in keys}
    near = _near(wanted, parts.values())
    return [key for key, part in parts.items() if near and part == near[0]]


def _near(wanted: str, names: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(wanted, list(dict.fromkeys(names)), n=1, cutoff=_NEAR)


def _keys() -> Iterator[str]:
    """Every dotted key of a config: the general ones, then those of each component."""
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.run import REGISTRIES

    fields = ExperimentConfig.model_fields
    sections = {n: getattr(f.annotation, "model_fields", {}) for n, f in fields.items()}
    for name, inner in sections.items():
        if name != "plugins":  # a record; the option is --plugin
            yield from [f"{name}.{key}" for key in inner] or [name]
    for section, registry in REGISTRIES.items():
        several: Any = not sections[section]  # hooks and metrics, each under a key of its own
        for name in registry.names():
            for option in registry.options(name):
                yield f"{section}.{name}.{option}" if several else f"{section}.{option}"
