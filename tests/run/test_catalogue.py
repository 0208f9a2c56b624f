"""What a config can name; and whether each of it says what it is."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError, UnknownNameError
from jaxtrain.run import REGISTRIES
from jaxtrain.run.catalogue import KINDS, catalogue, component, section_called
from jaxtrain.run.docstring import Docstring

OURS = [
    (section, name)
    for section, registry in REGISTRIES.items()
    for name in registry.names()
    if registry[name].__module__.startswith("jaxtrain.")
]


@pytest.mark.parametrize(("section", "name"), OURS)
def test_every_component_says_what_it_is_and_what_each_option_does(section, name):
    """`list` has nothing else to show; a reader of the code has no more either."""
    found = component(section, name)
    summary = found.docs.summary
    assert summary[-1:] in (".", "?"), f"the first line is no sentence: {summary!r}"
    assert len(summary.split()) > 2
    silent = [option.name for option in found.options if not (option.common or option.says)]
    assert silent == [], "the section Args lacks them"


def test_every_kind_of_component_has_a_name():
    assert set(KINDS.values()) == set(REGISTRIES)


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        ("models", "model"),
        ("model", "model"),
        ("losses", "loss"),
        ("metric", "metrics"),
        ("data", "data"),
        ("sources", "data"),
        ("hook", "hooks"),
        ("schedules", "schedule"),
    ],
)
def test_a_kind_is_called_in_the_plural_or_not(kind, section):
    assert section_called(kind) == section


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("modles", "did you mean 'models'"),
        ("mlp", "did you mean models mlp"),
        ("x", "no kind"),
    ],
)
def test_what_is_no_kind_says_what_was_meant(kind, said):
    with pytest.raises(ConfigError, match=said):
        section_called(kind)


def test_options_come_with_values_defaults_and_words():
    found = component("optimizer", "sgd")
    options = {option.name: option for option in found.options}
    common = ["learning_rate", "clip_norm", "clip_value", "clip_leaf_norm", "batch_scaling"]
    common += ["lookahead", "groups"]
    assert [o.name for o in found.options] == [
        *("momentum", "nesterov", "dampening", "weight_decay"),  # its own first
        *common,
    ]
    assert [o.name for o in found.options if o.common] == common
    assert (options["momentum"].takes, options["momentum"].default) == (
        "a number of at least 0 and below 1",
        "0",
    )
    assert options["momentum"].says.startswith("decay of the sum of past gradients")
    assert options["clip_norm"].default == "null"
    assert found.place == "jaxtrain.optim.optimizers.sgd"
    csv = {option.name: option for option in component("data", "csv").options}
    assert csv["target"].default is None
    assert csv["missing"].default == "['?', '']"
    assert [one.name for one in catalogue("model")] == REGISTRIES["model"].names()
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        component("model", "mpl")


def test_one_without_words_or_annotations_is_there_all_the_same(monkeypatch):
    registry = REGISTRIES["model"]
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    registry.register("tests_silent")(lambda num_outputs, *, width, deep=True: None)
    found = component("model", "tests_silent")
    assert found.docs == Docstring("", "", {})
    assert [(o.name, o.takes, o.default) for o in found.options] == [
        ("width", "anything", None),
        ("deep", "anything", "true"),
    ]
    assert found.place.endswith("test_catalogue.py")


def test_what_a_class_inherits_its_base_describes():
    found = component("metrics", "mean_absolute_error")
    assert {option.name: option.says for option in found.options}["mask"]
    assert found.docs.arguments == {}
