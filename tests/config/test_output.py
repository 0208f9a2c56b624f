import pytest

from jaxtrain.config import ConfigDict, check, dump, dumps, load, to_dict
from jaxtrain.errors import ConfigError


def test_a_tree_comes_back_identically(tmp_path):
    tree = ConfigDict({"lr": 3e-4, "tiny": 1e-300, "none": None, "t": (1, (2.0, "3e-4")), "e": {}})
    dump(tree, tmp_path / "x.yaml")
    assert repr(load(tmp_path / "x.yaml")) == repr(tree)


def test_a_checked_config_comes_back_equal(tmp_path, registries):
    config = check(
        {
            "project": "007",
            "workdir": "no",
            "model": {"name": "cnn", "channels": [8], "dropout": 1e-5},
            "optimizer": {"learning_rate": 3e-4, "clip_norm": None},
            "hooks": {"a": {"name": "jsonl", "every": 3}, "csv": {}, "console": None},
        },
        registries,
    )
    dump(config, tmp_path / "config.yaml")
    assert check(load(tmp_path / "config.yaml"), registries) == config
    assert check(to_dict(config), registries) == config
    assert "  channels: [8]\n" in dumps(config)
    assert "  console: null\n" in dumps(config)  # else it would be back by default


def test_what_no_file_can_hold_is_refused_before_the_file_is_touched(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\n")
    with pytest.raises(ConfigError, match=r"model\.act: expected text.*\(builtin_function"):
        dump({"model": {"act": print}}, tmp_path / "x.yaml")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a: 1\n"]
