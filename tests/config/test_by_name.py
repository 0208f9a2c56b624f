"""Several components of one kind: the metrics of a config, as a list or as a section."""

import pytest

from jaxtrain.config import (
    ConfigDict,
    check,
    diff,
    dump,
    from_cli_dotlist,
    load,
    merge,
    non_defaults,
)
from jaxtrain.config.by_name import by_name
from jaxtrain.errors import ConfigError, FrozenConfigError


def shown(config):
    metrics = config.metrics
    return metrics and {
        key: (one.name, getattr(one, "top_k", None)) for key, one in metrics.items()
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("metrics: null", None),
        ("seed: 1", None),
        ("metrics: {}", {}),
        ("metrics: []", {}),
        ("metrics: [loss, accuracy]", {"loss": ("loss", None), "accuracy": ("accuracy", 1)}),
        ("metrics: [{name: accuracy, top_k: 5}]", {"accuracy": ("accuracy", 5)}),
        ("metrics: loss", {"loss": ("loss", None)}),
        (
            "metrics: {accuracy: {}, top5: {name: accuracy, top_k: 5}}",
            {"accuracy": ("accuracy", 1), "top5": ("accuracy", 5)},
        ),
        ("metrics: {loss: {}, accuracy: null}", {"loss": ("loss", None)}),
    ],
)
def test_a_list_is_short_for_a_section(registries, write, written, expected):
    tree = load(write("x.yaml", written + "\n"))
    before = tree.to_dict()
    assert shown(check(tree, registries)) == expected
    assert tree.to_dict() == before


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("metrics=loss,accuracy", {"loss": ("loss", None), "accuracy": ("accuracy", 1)}),
        ("metrics=[accuracy]", {"accuracy": ("accuracy", 1)}),
        ("metrics=null", None),
        # On top of the list in the file, not in its place.
        ("metrics.accuracy.top_k=3", {"loss": ("loss", None), "accuracy": ("accuracy", 3)}),
        ("metrics.loss=null", {"accuracy": ("accuracy", 1)}),
    ],
)
def test_the_command_line_lies_on_the_list_of_a_file(registries, write, override, expected):
    tree = load(write("x.yaml", "metrics: [loss, accuracy]\n"))
    assert shown(check(merge(tree, from_cli_dotlist([override])), registries)) == expected


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("metrics: [los]", "x.yaml:1: metrics.los.name: unknown metric 'los'; did you mean 'loss'"),
        ("metrics: 3", "x.yaml:1: metrics: expected a section, or null, found 3"),
        ("metrics: [3]", "x.yaml:1: metrics: expected a section, or null, found [3]"),
        ("metrics: {loss: 3}", "x.yaml:1: metrics.loss: expected a section, found 3"),
        (
            "metrics: [{name: accuracy, top_k: 0}]",
            "x.yaml:1: metrics.accuracy.top_k: expected a whole number of at least 1, found 0",
        ),
        (
            "metrics: {a: {name: accuracy, topk: 0}}",
            "x.yaml:1: metrics.a.topk: unknown key; did you mean 'top_k'",
        ),
        ("metrics: [loss, loss]", "x.yaml:1: metrics: 'loss' is there twice; write a section"),
    ],
)
def test_what_is_wrong_is_told_by_key_and_line(registries, write, written, message):
    with pytest.raises(ConfigError) as raised:
        check(load(write("x.yaml", written + "\n")), registries)
    assert str(raised.value).startswith(message), raised.value
    assert str(raised.value).count("\n") == 0


def test_a_name_that_is_there_twice_is_not_merged_away():
    with pytest.raises(ConfigError, match="'loss' is there twice"):
        merge({"metrics": ["loss", "loss"]}, {"metrics": {"accuracy": {}}})


def test_another_metric_under_the_same_key_drops_the_options_of_the_first(registries):
    tree = merge(
        {"metrics": {"m": {"name": "accuracy", "top_k": 5}}}, {"metrics": {"m": {"name": "loss"}}}
    )
    assert shown(check(tree, registries)) == {"m": ("loss", None)}


def test_metrics_are_frozen_written_out_and_read_again(registries, tmp_path):
    config = check({"metrics": ["loss", {"name": "accuracy", "top_k": 5}]}, registries)
    with pytest.raises(FrozenConfigError):
        config.metrics["x"] = config.metrics["loss"]
    dump(config, tmp_path / "config.yaml")
    again = check(load(tmp_path / "config.yaml"), registries)
    assert again == config
    assert diff(again, config) == []
    assert [key for key, *_ in diff(config, check({"metrics": ["loss"]}, registries))] == [
        "metrics.accuracy"
    ]


def test_what_is_not_at_its_default_is_told_key_by_key(registries):
    config = check({"metrics": {"a": {"name": "accuracy", "top_k": 5}, "loss": {}}}, registries)
    assert [(key, value) for key, _, value in non_defaults(config)] == [
        ("metrics.a.name", "accuracy"),
        ("metrics.a.top_k", 5),
        ("metrics.loss.name", "loss"),
    ]
    assert [(key, value) for key, _, value in non_defaults(check({"metrics": {}}, registries))] == [
        ("metrics", {})
    ]


def test_items_of_a_list_may_be_sections_of_any_kind():
    one = ConfigDict({"name": "accuracy"})
    assert by_name((one, "loss")) == {"accuracy": one, "loss": {}}
    assert by_name(({"top_k": 1},)) is None
    assert by_name("loss") is None
