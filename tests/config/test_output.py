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


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "new" / "x.yaml"
    dump({"a": 1}, path)  # the directory was made

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        dump({"a": 2}, path)
    assert [entry.read_text() for entry in path.parent.iterdir()] == ["a: 1\n"]


def test_what_no_file_can_hold_is_refused_before_the_file_is_touched(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\n")
    with pytest.raises(ConfigError, match=r"model\.act: expected text.*\(builtin_function"):
        dump({"model": {"act": print}}, tmp_path / "x.yaml")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a: 1\n"]
