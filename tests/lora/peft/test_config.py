"""adapter_config.json: what is read of it, refused, kept and written."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError, DataNotFoundError
from jaxtrain.lora import LoRAConfig
from jaxtrain.lora.peft.config import config_text, parse_config, read_config
from jaxtrain.lora.peft.rules import Rules


def parsed(ignore=(), **entries):
    given = {"peft_type": "LORA", "target_modules": ["q_proj"]}
    return parse_config(given | entries, place="x/adapter_config.json", ignore=ignore)


def refused(match, **entries):
    with pytest.raises(ConfigError, match=f"^x/adapter_config.json: {match}") as found:
        parsed(**entries)
    assert "\n" not in str(found.value)


def test_the_least_is_enough():
    found = parsed()
    assert found.rules == Rules(targets=("q_proj",), rank=8, alpha=8.0)
    assert (found.dropout, found.rslora, found.dora, found.init, found.tied) == (
        0.0, False, False, "zero_b", False,
    )  # fmt: skip
    assert found.base_model is None


def test_all_that_is_read():
    found = parsed(
        r=4,
        lora_alpha=6,
        lora_dropout=0.1,
        exclude_modules="x.*",
        use_rslora=True,
        use_dora=True,
        rank_pattern={"b": 2, "a": 3},
        alpha_pattern={"a": 0.5},
        layers_to_transform=2,
        layers_pattern="h",
        init_lora_weights="gaussian",
        ensure_weight_tying=True,
        base_model_name_or_path="google/gemma-2b",
        fan_in_fan_out=True,
    )
    assert found.rules == Rules(
        targets=("q_proj",),
        exclude="x.*",
        layers=(2,),
        layers_pattern=("h",),
        rank=4,
        alpha=6.0,
        rank_pattern=(("b", 2), ("a", 3)),
        alpha_pattern=(("a", 0.5),),
    )
    assert (found.dropout, found.rslora, found.dora, found.init, found.tied) == (
        0.1, True, True, "gaussian", True,
    )  # fmt: skip
    assert "google/gemma-2b" in found.trained_for


def test_all_that_peft_writes_is_known(tmp_path):
    peft = pytest.importorskip("peft", reason="the peers extra installs peft")
    config = peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM", r=3)
    config.save_pretrained(tmp_path)
    assert read_config(tmp_path).rules == Rules(targets=("q_proj",), rank=3)


SWITCHED_ON = {
    "modules_to_save": ["lm_head"],
    "lora_bias": True,
    "trainable_token_indices": [1, 2],
    "target_parameters": ["experts.up"],
    "layer_replication": [[0, 2]],
    "alora_invocation_tokens": [5],
    "use_qalora": True,
    "velora_config": {"rank": 2},
    "kasa_config": {"beta": 1},
    "monteclora_config": {"x": 1},
    "arrow_config": {"top_k": 3},
    "use_bdlora": {"nblocks": 2},
    "megatron_config": {"a": 1},
    "of_the_future": True,
    "a_number": 3,
    "a_word": "on",
}


@pytest.mark.parametrize("key", SWITCHED_ON)
def test_what_is_switched_on_is_refused_by_name(key):
    refused(
        f"'{key}': expected it to be off, found .*ignore=\\('{key}',\\)", **{key: SWITCHED_ON[key]}
    )
    for off in (None, False, [], {}, ""):
        assert parsed(**{key: off}).rules == parsed().rules


def test_what_means_nothing_may_be_said_to():
    found = parsed(ignore=("of_the_future",), of_the_future=True)
    assert json.loads(found.text)["of_the_future"] is True


@pytest.mark.parametrize(
    ("match", "entries"),
    [
        ("peft_type: expected \"LORA\", found 'LOHA'", {"peft_type": "LOHA"}),
        ("peft_type: expected \"LORA\", found 'ADALORA'", {"peft_type": "ADALORA"}),
        ("peft_type: expected \"LORA\", found None", {"peft_type": None}),
        ("bias: expected \"none\", found 'all'", {"bias": "all"}),
        ("bias: expected \"none\", found 'lora_only'", {"bias": "lora_only"}),
        ("r: expected a whole number", {"r": 0}),
        ("r: expected a whole number", {"r": True}),
        ("lora_alpha: expected a number above 0", {"lora_alpha": -1}),
        ("lora_dropout: expected a number from 0", {"lora_dropout": 1.0}),
        ("lora_dropout: expected a number from 0", {"lora_dropout": float("nan")}),
        ("use_dora: expected true or false", {"use_dora": "yes"}),
        ("use_rslora: expected true or false", {"use_rslora": 1}),
        ("fan_in_fan_out: expected true or false", {"fan_in_fan_out": "no"}),
        ("target_modules: expected a pattern, or a list", {"target_modules": [1]}),
        ("target_modules: expected a pattern, or a list", {"target_modules": {"q": 1}}),
        ("target_modules: '\\(' is no regular expression", {"target_modules": "("}),
        ("exclude_modules: '\\(' is no regular expression", {"exclude_modules": "("}),
        ("layers_pattern: '\\(' is no regular", {"layers_pattern": "(", "layers_to_transform": 1}),
        ("rank_pattern: '\\(' is no regular expression", {"rank_pattern": {"(": 1}}),
        ("rank_pattern: expected numbers by pattern", {"rank_pattern": [1]}),
        ("rank_pattern: q: expected a whole number", {"rank_pattern": {"q": 1.5}}),
        ("alpha_pattern: q: expected a number above 0", {"alpha_pattern": {"q": "x"}}),
        ("layers_to_transform: expected numbers", {"layers_to_transform": [-1]}),
        ("layers_to_transform: expected null", {"target_modules": ".", "layers_to_transform": 1}),
        ("layers_pattern: expected null beside", {"target_modules": ".*", "layers_pattern": "h"}),
        ("base_model_name_or_path: expected a name", {"base_model_name_or_path": 3}),
        ("init_lora_weights: expected true, false, \"gaussian\"", {"init_lora_weights": "mine"}),
        ("init_lora_weights: expected true", {"init_lora_weights": ["pissa"]}),
        ("init_lora_weights: 'pissa_niter_4' has changed", {"init_lora_weights": "pissa_niter_4"}),
        ("init_lora_weights: 'olora' has changed", {"init_lora_weights": "olora"}),
        ("init_lora_weights: 'loftq' has changed", {"init_lora_weights": "loftq"}),
        ("init_lora_weights: 'corda' has changed", {"init_lora_weights": "corda"}),
        ("NaN or Infinity", {"qalora_group_size": float("inf")}),
    ],
)  # fmt: skip
def test_what_can_not_be(match, entries):
    refused(match, **entries)


@pytest.mark.parametrize(
    ("value", "init"),
    [(True, "zero_b"), (False, "zero_b"), (None, "zero_b"), ("eva", "zero_b"),
     ("orthogonal", "zero_b"), ("gaussian", "gaussian"), ("pissa", "pissa")],
)  # fmt: skip
def test_how_it_began(value, init):
    assert parsed(init_lora_weights=value).init == init


def test_there_is_no_file(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"adapter_config.json: there is no such file"):
        read_config(tmp_path)


RULES = Rules(
    targets=("q", "v"),
    layers=(0, 2),
    rank=4,
    alpha=6.0,
    rank_pattern=(("v", 2),),
    alpha_pattern=(("v", 0.5),),
)


def text(config=None, rules=RULES, *, before="", **options):
    given = {"tied": False, "task": None, "base_model": None, "as_before": False}
    return json.loads(
        config_text(config or LoRAConfig(), rules, before=before, **(given | options))
    )


def test_what_is_written():
    config = LoRAConfig(rslora=True, dora=True, dropout=0.1, init="gaussian")
    found = text(config, tied=True, task="CAUSAL_LM", base_model="tiny")
    assert list(found) == sorted(found)
    assert found == {
        "alpha_pattern": {"v": 0.5},
        "auto_mapping": None,
        "base_model_name_or_path": "tiny",
        "bias": "none",
        "ensure_weight_tying": True,
        "exclude_modules": None,
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": "gaussian",
        "layers_pattern": None,
        "layers_to_transform": [0, 2],
        "lora_alpha": 6,
        "lora_dropout": 0.1,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": 4,
        "rank_pattern": {"v": 2},
        "target_modules": ["q", "v"],
        "task_type": "CAUSAL_LM",
        "use_dora": True,
        "use_rslora": True,
    }
    assert parse_config(found, place="").rules == RULES


def test_patterns_stay_in_their_order():
    rules = Rules(targets=("q",), rank_pattern=(("z", 1), ("a", 2)))
    assert list(text(rules=rules)["rank_pattern"]) == ["z", "a"]


def test_what_means_nothing_is_written_again():
    before = {
        "peft_type": "LORA", "target_modules": "x|y", "r": 3, "peft_version": "0.21.2",
        "task_type": "SEQ_CLS", "revision": "main", "init_lora_weights": "eva",
        "eva_config": {"rho": 2.0}, "base_model_name_or_path": "theirs", "lora_dropout": 0,
        "unsloth_fixed": True,
    }  # fmt: skip
    found = text(before=json.dumps(before), as_before=True, task="CAUSAL_LM")
    assert {key: found[key] for key in before} == before
    found = text(before=json.dumps(before), base_model="ours")
    assert (found["target_modules"], found["r"]) == (["q", "v"], 4)
    assert found["base_model_name_or_path"] == "ours"
    assert found["unsloth_fixed"] is True
    began = text(before=json.dumps(before | {"init_lora_weights": "pissa"}))
    assert began["init_lora_weights"] is True  # it is an adapter of the base as it was by now
