"""What a config can name, and a config that was made with a plugin."""

from __future__ import annotations

import pytest

from jaxtrain.config import ExperimentConfig, dump
from jaxtrain.errors import ConfigError
from jaxtrain.run import REGISTRIES, make_config

PLUGIN = """\
from jaxtrain.metrics import Loss
from jaxtrain.metrics.registry import METRICS
if "tests_twice" not in METRICS.names():
    METRICS.register("tests_twice")(lambda *, factor: Loss())
"""


def test_every_section_that_names_a_component_has_its_registry():
    named = {
        key
        for key, field in ExperimentConfig.model_fields.items()
        if "name" in getattr(field.annotation, "model_fields", {})
    }
    assert {*named, "metrics", "hooks"} == set(REGISTRIES)
    for key, registry in REGISTRIES.items():
        assert registry.names(), key
        if key in named:
            section = ExperimentConfig.model_fields[key].annotation
            assert section.model_fields["name"].default in registry.names()


def test_a_config_tells_which_plugins_it_wants_and_imports_none(tmp_path, monkeypatch):
    plugin = tmp_path / "twice.py"
    plugin.write_text(PLUGIN)
    registry = REGISTRIES["metrics"]
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    tree = {"metrics": {"twice": {"name": "tests_twice", "factor": 2}}}
    config = make_config(tree, plugins=[str(plugin)])
    assert config.plugins == (str(plugin),)
    assert config.metrics["twice"].factor == 2
    dump(config, tmp_path / "config.yaml")

    monkeypatch.setattr(registry, "_factories", {"loss": registry["loss"]})
    with pytest.raises(ConfigError) as raised:
        make_config(tmp_path / "config.yaml")
    said = str(raised.value)
    assert "unknown metric 'tests_twice'" in said
    assert f"used with the plugins {plugin}, which a config can't import by itself" in said
    assert "--plugin" not in said


@pytest.mark.parametrize("plugins", [1, "mine", ["mine", 1], {"mine": 1}])
def test_a_record_of_plugins_that_is_none_is_refused_by_its_key(plugins):
    """`plugins: 1` was a TypeError, `plugins: mine` the four plugins m, i, n and e."""
    with pytest.raises(ConfigError, match=r"^config: plugins: expected a list"):
        make_config({"plugins": plugins})
