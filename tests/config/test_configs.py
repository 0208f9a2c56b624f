"""The files in configs/, against this room's own registries of the same names."""

from pathlib import Path

import pytest

from jaxtrain.config import check, load

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["digits", "mnist_mlp", "mnist_cnn", "adult_mlp"])
def test_each_loads_from_anywhere_and_is_named_after_its_file(
    name, registries, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = check(load(CONFIGS / f"{name}.py"), registries)
    assert config.project == name
    assert config.schedule.name == "cosine"
    assert list(config.hooks)[-2:] == ["nan_guard", "tensorboard"]
    assert config.checkpoint.mode == "auto"
