"""Another component by a later layer: what becomes of the options of the one before."""

import logging

import pytest

from jaxtrain.config import ConfigDict, check, dump, from_cli_dotlist, load, merge
from jaxtrain.errors import ConfigError

FILE = """\
model: {name: cnn, channels: [8], dropout: 0.5}
loss: {label_smoothing: 0.1}
optimizer: {name: adamw, learning_rate: 0.01, b1: 0.8}
hooks: {rows: {name: jsonl, every: 5}}
"""


@pytest.fixture
def registries(registries):
    @registries["loss"].register("mse")
    def mse(): ...

    @registries["model"].register("linear")
    def linear(num_outputs: int, *, bias: bool = True): ...

    return registries


@pytest.fixture
def checked(registries, write, caplog):
    """checked("model.name=mlp"): the config of FILE with that on top; what was logged."""

    def run(*overrides, text=FILE):
        caplog.clear()
        caplog.set_level(logging.INFO)
        tree = merge(load(write("x.yaml", text)), from_cli_dotlist(overrides))
        config = check(tree, registries)
        return config, [(record.name, record.getMessage()) for record in caplog.records]

    return run


def test_options_that_the_new_one_does_not_know_are_dropped_and_named_once(checked):
    config, said = checked("model.name=linear", "loss.name=mse", "hooks.rows.name=csv")
    assert (config.model.name, config.model.bias, config.loss.name) == ("linear", True, "mse")
    assert said == [
        (
            "jaxtrain.config",
            "dropped the options model.channels, model.dropout of 'cnn', as model.name is now "
            "'linear'; loss.label_smoothing of 'cross_entropy', as loss.name is now 'mse'; "
            "hooks.rows.every of 'jsonl', as hooks.rows.name is now 'csv'",
        )
    ]


def test_options_that_both_know_stay(checked):
    config, _ = checked("model.name=mlp", "optimizer.name=sgd")
    assert (config.model.dropout, config.model.hidden) == (0.5, (128,))
    assert config.optimizer.learning_rate == 0.01


def test_the_same_name_again_drops_nothing(checked):
    config, said = checked("model.name=cnn")
    assert config.model.channels == (8,)
    assert said == []


@pytest.mark.parametrize("override", ["model={name: linear, bias: false}", "model={bias: false}"])
def test_a_section_on_the_command_line_lies_on_that_of_the_file(override, checked):
    config, _ = checked(override, "model.name=linear")
    assert (config.model.name, config.model.bias) == ("linear", False)


def test_null_over_an_option_of_the_old_one_gives_it_up(checked):
    config, _ = checked("model.name=linear", "model.channels=null")
    assert config.model.name == "linear"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.name=linear", "model.bais=false"], "command line: model.bais: unknown key; did"),
        (["model.bais=false", "model.name=linear"], "command line: model.bais: unknown key; did"),
        (["model={name: linear, bais: false}"], "command line: model.bais: unknown key; did"),
        (["model.hidden=3", "model.name=linear"], "command line: model.hidden: unknown key"),
        (["model.chanels=[3]"], "command line: model.chanels: unknown key; did you mean"),
        (["model.dropout=null"], "command line: model.dropout: expected a number"),
        (["model.chanels=null"], "command line: model.chanels: unknown key"),
        (["model=null"], "command line: model: expected a section, found None"),
        (["model={name: linear"], "command line: model: expected a section, found '{name"),
        (["model={a.b: 1}"], "command line: 'model={a.b: 1}': a config key is text without dots"),
    ],
)
def test_what_is_wrong_within_one_layer_stays_an_error(overrides, message, checked):
    with pytest.raises(ConfigError) as caught:
        checked(*overrides)
    assert str(caught.value).startswith(message)


def test_a_typing_error_in_the_file_is_not_swept_away_by_another_name(checked):
    with pytest.raises(ConfigError, match=r"^x\.yaml:1: model\.chanels: unknown key"):
        checked("model.name=linear", text="model: {name: cnn, chanels: [8]}\n")
    with pytest.raises(ConfigError, match=r"^x\.yaml:1: loss\.smoothing: unknown key"):
        checked("loss.name=mse", text="loss: {smoothing: 1}\n")


def test_a_later_layer_with_a_typing_error_and_no_name_is_told(registries, write):
    base = load(write("base.yaml", "model: {name: cnn}\n"))
    over = load(write("over.yaml", "model: {chanels: [8]}\n"))
    with pytest.raises(ConfigError, match=r"^over\.yaml:1: model\.chanels: unknown key"):
        check(merge(base, over), registries)


def test_there_and_back_again_keeps_everything(registries, write):
    tree = merge(load(write("x.yaml", FILE)), {"model": {"name": "linear"}})
    assert check(merge(tree, {"model": {"name": "cnn"}}), registries).model.channels == (8,)


def test_layers_of_plain_dicts(registries):
    tree = merge({"model": {"name": "cnn", "channels": [8]}}, {"model": {"name": "linear"}})
    assert check(tree, registries).model.name == "linear"
    wrong = {"model": {"channels": [8], "name": "linear"}}
    for tree in (wrong, merge({"model": {"name": "cnn"}}, wrong), ConfigDict(wrong)):
        with pytest.raises(ConfigError, match=r"model\.channels: unknown key"):
            check(tree, registries)


def test_a_name_written_by_hand_onto_a_loaded_config(registries, write):
    tree = load(write("x.yaml", FILE))
    tree.model.name = "linear"
    assert check(tree, registries).model.name == "linear"
    tree.model.bais = False
    with pytest.raises(ConfigError, match=r"model\.bais: unknown key"):
        check(tree, registries)


def test_a_saved_config_takes_another_name_too(checked, registries, tmp_path):
    dump(checked()[0], tmp_path / "config.yaml")
    tree = merge(load(tmp_path / "config.yaml"), from_cli_dotlist(["model.name=linear"]))
    assert check(tree, registries).model.name == "linear"
