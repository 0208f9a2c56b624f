import copy
import inspect

import ml_collections
import pytest

from jaxtrain.config import ConfigDict, freeze, from_dict, merge
from jaxtrain.errors import ConfigError, FrozenConfigError


def tree():
    return ConfigDict({"model": {"name": "mlp", "hidden": [64, 32]}, "seed": 0})


def test_dotted_get():
    config = tree()
    assert config.get("model.name") == "mlp"
    assert config.get("model.dropout", 0.5) == 0.5
    assert config.get("model.name.deeper", "none") == "none"  # text has no keys
    assert config.get("nothing.at.all") is None


def test_keys_keep_their_order_and_lists_become_tuples():
    config = ConfigDict({"z": 1, "a": [1, {"b": [2]}]})
    assert list(config) == ["z", "a"]
    assert config.to_dict() == {"z": 1, "a": (1, {"b": (2,)})}


def test_any_type_may_replace_any_other_unchanged():
    config = ConfigDict({"rate": 0.5})
    config.rate = True  # ml_collections alone would make this 1.0
    assert config.rate is True
    config.rate = "fast"
    assert config.rate == "fast"


def test_nested_mappings_are_config_dicts_wherever_they_come_from():
    config = tree()
    config.optimizer = {"name": "adamw"}
    config.loss = ml_collections.ConfigDict({"inner": {"a": 1}})
    assert type(config.optimizer) is type(config.loss.inner) is ConfigDict
    assert config.loss.get("inner.a") == 1


def test_references_follow_until_they_are_resolved():
    config = ConfigDict({"width": 1})
    config.double = config.get_ref("width") * 2
    config.width = 4
    assert config.to_dict() == {"width": 4, "double": 8}
    assert merge(config).double == 8


@pytest.mark.parametrize("key", ["a.b", "", 3, None])
def test_keys_that_could_not_be_addressed_are_refused(key):
    with pytest.raises(ConfigError, match="text without dots"):
        from_dict({"section": {key: 1}})


def test_from_dict_wants_a_mapping():
    with pytest.raises(ConfigError, match="mapping of keys to values, found 3"):
        from_dict(3)


def test_merge_is_deep_new_and_last_wins():
    base, over = tree(), {"model": {"hidden": [1]}, "train": {"epochs": 2}}
    merged = merge(base, over, {"seed": 3})
    assert merged.to_dict() == {
        "model": {"name": "mlp", "hidden": (1,)},
        "seed": 3,
        "train": {"epochs": 2},
    }
    assert base == tree()
    merged.model.name = "cnn"
    merged.train.epochs = 5
    assert base == tree()
    assert over["train"] == {"epochs": 2}


def test_merge_replaces_a_value_by_a_section_and_back():
    assert merge({"a": 1}, {"a": {"b": 2}}).to_dict() == {"a": {"b": 2}}
    assert merge({"a": {"b": 2}}, {"a": None}).to_dict() == {"a": None}


def writes():
    def set_attribute(config):
        config.seed = 1

    def set_item(config):
        config["seed"] = 1

    def set_deep(config):
        config.model.name = "cnn"

    def add(config):
        config.model.new = 1

    def delete(config):
        del config["seed"]

    def delete_deep(config):
        del config["model.name"]

    def update(config):
        config.update({"model": {"name": "cnn"}})

    def update_nothing(config):
        config.update()

    def update_by_keyword(config):
        config.update(seed=1)

    def set_default(config):
        config.setdefault("seed", 1)

    def set_new_default(config):
        config.setdefault("new", 1)

    def pop(config):
        config.pop("seed")

    def pop_what_is_not_there(config):
        config.pop("new", None)

    def pop_item(config):
        config.model.popitem()

    def clear(config):
        config.clear()

    def update_flat(config):
        config.update_from_flattened_dict({"model.name": "cnn"})

    def unlock(config):
        with config.unlocked():
            config.seed = 1

    def reference(config):
        config.get_ref("seed").set(1)

    def in_list(config):
        config.stages[0].size = 1

    return list(locals().values())


@pytest.mark.parametrize("write", writes(), ids=lambda write: write.__name__)
def test_a_frozen_tree_refuses_every_write_and_says_where_it_was_frozen(write):
    config = merge(tree(), {"stages": [{"size": 3}]})
    freeze(config)
    line = inspect.currentframe().f_lineno - 1
    before = config.to_dict()
    with pytest.raises(FrozenConfigError, match=rf"frozen at .*test_tree\.py:{line};"):
        write(config)
    assert config.to_dict() == before


def test_a_reference_taken_before_freezing_writes_no_longer():
    config = tree()
    reference = config.get_ref("seed")
    config.freeze()
    reference.set(9)
    assert config.seed == 0


def test_freezing_twice_keeps_the_first_place():
    config = tree().freeze()
    first = config._frozen_at
    config.freeze()
    assert config._frozen_at == first


@pytest.mark.parametrize("copied", [merge, ConfigDict, copy.deepcopy])
def test_a_copy_of_a_frozen_tree_is_not_frozen(copied):
    config = tree().freeze()
    other = copied(config)
    other.model.name = "cnn"
    assert config.model.name == "mlp"


def test_until_then_it_can_be_written_to_like_a_dict():
    config = tree()
    assert config.setdefault("seed", 1) == 0
    assert config.setdefault("new", [1]) == (1,)
    assert config.pop("seed") == 0
    assert config.pop("seed", None) is None
    with pytest.raises(KeyError):
        config.pop("seed")
    assert config.popitem() == ("new", (1,))
    config.clear()
    assert config.to_dict() == {}
    with pytest.raises(KeyError):
        config.popitem()


def test_text_is_yaml():
    assert str(tree()) == "model:\n  name: mlp\n  hidden: [64, 32]\nseed: 0\n"
    assert repr(ConfigDict({"a": 1})) == "ConfigDict({'a': 1})"
