"""adapter_config.json: what it says of an adapter, and what is refused of it.

    given = read_config(directory)
    given.rules.targets, given.rslora, given.dora

Each entry is either read, or known to mean nothing for what a trained adapter computes, or has to
be off. Those that mean nothing are kept, and written again by `config_text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError
from jaxtrain.lora.config import Init, LoRAConfig, Pairs, Pattern
from jaxtrain.lora.peft.rules import Rules
from jaxtrain.models.hf.entries import Entries
from jaxtrain.models.hf.strict_json import parse_object, quoted, read_object

NAME = "adapter_config.json"

_READ = {
    "alpha_pattern",
    "base_model_name_or_path",
    "bias",
    "ensure_weight_tying",
    "exclude_modules",
    "fan_in_fan_out",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "use_dora",
    "use_rslora",
}

_MEANINGLESS = {
    "auto_mapping": "which class of transformers it was",
    "corda_config": "how it began, see init_lora_weights",
    "eva_config": "how it began, see init_lora_weights",
    "inference_mode": "whether PEFT trains it",
    "loftq_config": "how it began, see init_lora_weights",
    "lora_ga_config": "how it began, see init_lora_weights",
    "megatron_core": "a name of a package, for megatron_config",
    "peft_version": "who wrote it",
    "qalora_group_size": "for use_qalora",
    "revision": "which version of the base",
    "runtime_config": "where PEFT computes",
    "task_type": "which class of PEFT it was",
}
"""Entries that change nothing of what a trained adapter computes, and why."""

_OTHER_BASE = re.compile(r"pissa_niter_\d+|olora|corda|lora_ga|loftq")
_BEGINNINGS: dict[Any, Init] = {
    True: "zero_b",
    False: "zero_b",
    "gaussian": "gaussian",
    "orthogonal": "zero_b",
    "eva": "zero_b",
    "pissa": "pissa",
}


@dataclass(frozen=True, kw_only=True)
class PeftConfig:
    """What an adapter_config.json says.

    Attributes:
        rules: which modules, ranks and alphas.
        dropout, rslora, dora: as in `LoRAConfig`.
        init: "zero_b" and "gaussian" leave the base as it is; "pissa" takes from it.
        tied: whether what is adapted of the embedding is meant of the output head as well.
        base_model: what it was trained on; None where it does not say.
        text: all of it.
    """

    rules: Rules
    dropout: float
    rslora: bool
    dora: bool
    init: Init
    tied: bool
    base_model: str | None
    text: str

    @property
    def trained_for(self) -> str:
        """Half a sentence for messages about a model that does not fit."""
        return (
            f"it was trained for {quoted(self.base_model)}"
            if self.base_model
            else (f"{NAME} does not say what it was trained for")
        )


def read_config(directory: Path, *, ignore: Collection[str] = ()) -> PeftConfig:
    """Read what PEFT's `save_pretrained` has written.

    Args:
        directory: where adapter_config.json is.
        ignore: entries that nobody here knows, and that mean nothing for what the adapter computes.

    Raises:
        DataNotFoundError: there is no such file.
        ConfigError: it is no JSON object, says what can't be, is of another method than LoRA, or
            has something switched on that is not done here; the message has the entry.
    """
    path = directory / NAME
    return parse_config(read_object(path, error=ConfigError), place=str(path), ignore=ignore)


def parse_config(
    entries: Mapping[str, Any], *, place: str, ignore: Collection[str] = ()
) -> PeftConfig:
    """`read_config` of entries."""
    given = Entries(entries, place)
    kind = entries.get("peft_type")
    if kind != "LORA":
        raise given.wrong("peft_type", '"LORA"', kind)
    _refuse_switched_on(given, ignore)
    given.flag("fan_in_fan_out", False)  # how torch stores the base; factors are the same in both
    base = entries.get("base_model_name_or_path")
    if not isinstance(base, str | None):
        raise given.wrong("base_model_name_or_path", "a name, or null", base)
    dropout = entries.get("lora_dropout", 0.0)
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise given.wrong("lora_dropout", "a number from 0 to below 1", dropout)
    return PeftConfig(
        rules=_rules(given),
        dropout=float(dropout),
        rslora=given.flag("use_rslora", False),
        dora=given.flag("use_dora", False),
        init=_init(given),
        tied=given.flag("ensure_weight_tying", False),
        base_model=base or None,
        text=_text(entries, place),
    )


def config_text(
    config: LoRAConfig,
    rules: Rules,
    *,
    tied: bool,
    task: str | None,
    base_model: str | None,
    before: str,
    as_before: bool,
) -> str:
    """An adapter_config.json that says this.

    Args:
        config: the adapter's.
        rules: which modules, ranks and alphas.
        tied: see `PeftConfig`.
        task: `task_type`, where `before` has none.
        base_model: what it was trained on; None leaves what `before` says.
        before: the text of the file that the adapter came from, or "".
        as_before: whether the rules of that one choose the same, so that they stay.
    """
    entries: dict[str, Any] = {
        "auto_mapping": None,
        "fan_in_fan_out": False,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "base_model_name_or_path": None,
        "task_type": task,
    }
    if before:
        entries |= parse_object(before.encode(), place=NAME, error=ConfigError)
    if not as_before:
        entries |= {
            "r": rules.rank,
            "lora_alpha": _shortest(rules.alpha),
            "target_modules": _listed(rules.targets),
            "exclude_modules": None,
            "layers_to_transform": _listed(rules.layers),
            "layers_pattern": None,
            "rank_pattern": dict(rules.rank_pattern),
            "alpha_pattern": {key: _shortest(alpha) for key, alpha in rules.alpha_pattern},
        }
    began = entries.get("init_lora_weights", True)
    entries |= {
        "peft_type": "LORA",
        "bias": "none",
        "inference_mode": True,
        "use_rslora": config.rslora,
        "use_dora": config.dora,
        "init_lora_weights": began
        if before and _BEGINNINGS.get(began) == config.init
        else ("gaussian" if config.init == "gaussian" else True),
    }
    if entries["lora_dropout"] != config.dropout:
        entries["lora_dropout"] = config.dropout
    if tied or "ensure_weight_tying" in entries:  # older versions of PEFT don't know it
        entries["ensure_weight_tying"] = tied
    if base_model is not None:
        entries["base_model_name_or_path"] = base_model
    # Sorted as PEFT has them, but not within: of several patterns the first counts.
    return json.dumps(dict(sorted(entries.items())), indent=2, allow_nan=False) + "\n"


def _text(entries: Mapping[str, Any], place: str) -> str:
    try:
        return json.dumps(entries, allow_nan=False)
    except ValueError:
        raise ConfigError(f"{place}: NaN or Infinity is there, which JSON does not have") from None


def _refuse_switched_on(given: Entries, ignore: Collection[str]) -> None:
    bias = given.entries.get("bias", "none")
    if bias != "none":
        raise ConfigError(
            f'{given.place}: bias: expected "none", found {quoted(bias)}; biases of the base were '
            "trained as well, and are no part of an adapter here: merge it by PEFT, and load the "
            "model"
        )
    for key, value in given.entries.items():
        if key in _READ or key in _MEANINGLESS or key in ignore:
            continue
        # 0 and False are equal in Python, and both are off.
        if value in (None, False, "", [], {}):
            continue
        raise ConfigError(
            f"{given.place}: {quoted(key)}: expected it to be off, found {quoted(value)}; this is "
            "not done here: merge the adapter by PEFT, and load the model. Where it means nothing "
            f"for what the adapter computes, say ignore=({quoted(key)},)"
        )


def _rules(given: Entries) -> Rules:
    targets = _pattern(given, "target_modules")
    layers = _layers(given)
    layers_pattern = _pattern(given, "layers_pattern")
    if isinstance(targets, str):
        for key, value in (("layers_to_transform", layers), ("layers_pattern", layers_pattern)):
            if value:
                raise given.wrong(key, "null beside a target_modules that is a pattern", value)
    if isinstance(layers_pattern, str):
        layers_pattern = (layers_pattern,)
    for each in layers_pattern or ():
        _compiles(given, "layers_pattern", each)
    return Rules(
        targets=targets,
        exclude=_pattern(given, "exclude_modules") or (),
        layers=layers,
        layers_pattern=layers_pattern or (),
        rank=given.size("r", 8),
        alpha=given.number("lora_alpha", 8.0),
        rank_pattern=_pairs(given, "rank_pattern", "size"),
        alpha_pattern=_pairs(given, "alpha_pattern", "number"),
    )


def _pattern(given: Entries, key: str) -> Pattern | None:
    """A regular expression, or several names; None where it is absent, null or empty."""
    value = given.entries.get(key)
    if isinstance(value, str):
        _compiles(given, key, value)
        return value or None
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise given.wrong(key, "a pattern, or a list of names", value)
    return tuple(value) or None


def _layers(given: Entries) -> tuple[int, ...] | None:
    value = given.entries.get("layers_to_transform")
    if value is None or value == []:
        return None
    several = value if isinstance(value, list) else [value]
    if not all(type(each) is int and each >= 0 for each in several):
        raise given.wrong("layers_to_transform", "numbers of layers", value)
    return tuple(several)


def _pairs(given: Entries, key: str, kind: str) -> Pairs:
    value = given.entries.get(key)
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise given.wrong(key, "numbers by pattern", value)
    own = Entries(value, f"{given.place}: {key}")
    for pattern in value:
        _compiles(given, key, pattern)
    return tuple((pattern, getattr(own, kind)(pattern)) for pattern in value)


def _compiles(given: Entries, key: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{given.place}: {key}: {quoted(pattern)} is no regular expression: {error}"
        ) from None


def _init(given: Entries) -> Init:
    value = given.entries.get("init_lora_weights", True)
    known = isinstance(value, (bool, str)) or value is None
    if known and (found := _BEGINNINGS.get(True if value is None else value)):
        return found
    if isinstance(value, str) and _OTHER_BASE.fullmatch(value):
        raise ConfigError(
            f"{given.place}: init_lora_weights: {quoted(value)} has changed the base in a way that "
            "can't be made again from the file; convert the adapter by PEFT's "
            "save_pretrained(..., path_initial_model_for_weight_conversion=...), or merge it there"
        )
    raise given.wrong(
        "init_lora_weights", ", ".join(json.dumps(each) for each in _BEGINNINGS), value
    )


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shortest(value: float) -> int | float:
    return int(value) if value == int(value) else value
