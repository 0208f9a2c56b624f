import dataclasses

import pytest

from jaxtrain.config.schema import LoRASection
from jaxtrain.lora import LoRAConfig
from jaxtrain.run import make_config
from jaxtrain.run.building import adapter_config


def test_the_section_is_the_adapter_s_config_and_has_its_defaults():
    options = {field.name: field.default for field in dataclasses.fields(LoRAConfig)}
    section = {name: field.default for name, field in LoRASection.model_fields.items()}
    of_training = ("form", "protect", "quantize")
    assert section.keys() - set(of_training) == options.keys()
    assert {n: v for n, v in section.items() if n not in (*of_training, "rank")} == {
        n: v for n, v in options.items() if n != "rank"
    }


def test_every_option_arrives():
    given = {
        "rank": 3, "alpha": 7.0, "targets": ["q"], "exclude": ["v"], "dropout": 0.1, "rslora": True,
        "dora": True, "init": "gaussian", "rank_pattern": [["q", 2]], "alpha_pattern": [["q", 0.5]],
        "layers": [1], "in_axes": [["o", 2]], "stacks": ["blocks"],
    }  # fmt: skip
    found = adapter_config(make_config({"lora": {**given, "form": "merge"}}))
    assert found == LoRAConfig(**given)
    assert adapter_config(make_config({})) is None


@pytest.mark.parametrize("init", ["zero_b", "gaussian", "pissa"])
def test_the_kinds_of_beginning_are_the_same(init):
    assert adapter_config(make_config({"lora": {"rank": 1, "init": init}})).init == init
