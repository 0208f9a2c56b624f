import pytest

from jaxtrain.config import check, from_cli_dotlist, load, merge
from jaxtrain.errors import ConfigError


def test_values_are_read_as_yaml_and_the_last_one_wins():
    tree = from_cli_dotlist(["a.b=1", "a.c=[1,2]", "d=x=y", "a.b=2", "e="])
    assert tree.to_dict() == {"a": {"b": 2, "c": (1, 2)}, "d": "x=y", "e": None}


@pytest.mark.parametrize("item", ["seed", "=1", "a..b=1", ".a=1", "a.=1"])
def test_items_of_another_shape_are_refused(item):
    with pytest.raises(ConfigError, match=r"command line: expected dotted\.key=value, found"):
        from_cli_dotlist([item])


def test_a_value_is_no_section():
    with pytest.raises(ConfigError, match=r"'a\.b=2' sets a key in 'a', .* sets to 1"):
        from_cli_dotlist(["a=1", "a.b=2"])


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("optimizer.learning_rate=3e-4", 3e-4),
        ("optimizer.learning_rate='3e-4'", 3e-4),
        ("optimizer.learning_rate=1", 1.0),
        ("optimizer.clip_norm=null", None),
        ("train.epochs=1e2", 100),
        ("project=007", "007"),
        ("project=null", "null"),
        ("project=true", "true"),
        ("workdir=null", None),
        ("workdir=12", "12"),
        ("workdir={a: b}", "{a: b}"),
        ("data.last_batch=drop", "drop"),
        ("data.shuffle=false", False),
        ("model.hidden=[64,32]", (64, 32)),
        ("model.hidden=64,32", (64, 32)),
        ("model.hidden=64", (64,)),
        ("model.hidden=[]", ()),
        ("plugins=a.b,c", ("a.b", "c")),
    ],
)
def test_overrides_are_typed_by_the_field_they_replace(override, value, registries):
    config = check(
        merge({"optimizer": {"clip_norm": 2.0}}, from_cli_dotlist([override])), registries
    )
    for key in override.partition("=")[0].split("."):
        config = getattr(config, key)
    assert config == value
    assert type(config) is type(value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optimizer.learning_rate=fast",
            "optimizer.learning_rate: expected a number between 1e-08 and 10, found 'fast'",
        ),
        (
            "train.epochs=true",
            "train.epochs: expected a whole number between 1 and 1000000, found True",
        ),
        (
            "train.epochs=null",
            "train.epochs: expected a whole number between 1 and 1000000, found None",
        ),
        ("data.shuffle=yes", "data.shuffle: expected true or false, found 'yes'"),
        ("data.shuffle=1", "data.shuffle: expected true or false, found 1"),
        (
            "model.hidden=[64, x]",
            "model.hidden: expected a list, each item a whole number between 1 and 65536, "
            "found [64, 'x']",
        ),
        (
            "optimizer.learning_rat=1",
            "optimizer.learning_rat: unknown key; did you mean 'learning_rate'? "
            "(known: name, learning_rate, clip_norm, clip_value, clip_leaf_norm, "
            "batch_scaling, lookahead, groups, weight_decay, b1)",
        ),
        ("model=mlp", "model: expected a section, found 'mlp'"),
    ],
)
def test_a_wrong_override_says_that_it_came_from_the_command_line(
    override, message, registries, write
):
    file = load(write("x.yaml", "optimizer: {learning_rate: 1e-3}\ntrain: {epochs: 1}\n"))
    with pytest.raises(ConfigError) as caught:
        check(merge(file, from_cli_dotlist([override])), registries)
    assert str(caught.value) == f"command line: {message}"
