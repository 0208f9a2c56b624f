import copy
import json
from typing import Annotated

import pydantic
import pytest
from pydantic import Field

from jaxtrain.config import (
    RESERVED_HOOKS,
    ConfigDict,
    ExperimentConfig,
    check,
    from_cli_dotlist,
    load,
    merge,
)
from jaxtrain.config.fields import fields_of
from jaxtrain.errors import ConfigError, DataError, FrozenConfigError, OptionsError
from jaxtrain.registry import Registry

# A config in which every section and one hook of each kind of option is there.
FULL = {
    "data": {"name": "mnist", "root": "data"},
    "model": {"name": "wide", "width": 3},
    "start": {"path": "runs/x"},
    "lora": {"rank": 2},
    "hooks": {"stop": {"name": "early_stopping"}, "jsonl": {}},
}


def problems(tree, registries):
    with pytest.raises(ConfigError) as caught:
        check(tree, registries, source="here")
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def test_nothing_said_is_the_defaults(registries):
    config = check({}, registries)
    assert isinstance(config, ExperimentConfig)
    assert (config.model.name, config.model.hidden, config.train.epochs) == ("mlp", (128,), 10)
    assert list(config.hooks) == ["progress", "console", "jsonl", "csv", "nan_guard"]
    assert config.hooks["jsonl"].every == 100


def test_options_are_those_of_the_named_component(registries):
    config = check({"model": {"name": "cnn", "channels": [8]}}, registries)
    assert (config.model.channels, config.model.kernel) == ((8,), (3, 3))
    (problem,) = problems({"model": {"channels": [8]}}, registries)
    assert problem.startswith("here: model.channels: unknown key (known: name, hidden, dropout)")


def test_every_problem_is_told_at_once(registries, write):
    path = write(
        "x.yaml",
        "seed: -1\n"
        "optimizer:\n"
        "  learning_rat: 1\n"
        "  clip_norm: 0\n"
        "modell: {name: mlp}\n"
        "model: {name: mpl, hidden: [1]}\n"
        "loss: 3\n"
        "hooks:\n"
        "  jsonl: {every: 0}\n"
        "  erly_stopping: {}\n",
    )
    assert problems(load(path), registries) == [
        "x.yaml:1: seed: expected a whole number of at least 0 and below 2147483648, found -1",
        "x.yaml:3: optimizer.learning_rat: unknown key; did you mean 'learning_rate'? "
        "(known: name, learning_rate, clip_norm, clip_value, clip_leaf_norm, "
        "batch_scaling, lookahead, groups, weight_decay, b1)",
        "x.yaml:4: optimizer.clip_norm: expected a number above 0, or null, found 0",
        "x.yaml:5: modell: unknown key; did you mean 'model'? (known: seed, device, precision, "
        "mesh, project, workdir, distributed, plugins, data, model, start, lora, loss, optimizer, "
        "schedule, train, metrics, checkpoint, tracking, hooks)",
        "x.yaml:6: model.name: unknown model 'mpl'; did you mean 'mlp'? "
        "(known: cnn, mlp, wide; a plugin can add others)",
        "x.yaml:7: loss: expected a section, found 3",
        "x.yaml:9: hooks.jsonl.every: expected a whole number of at least 1, found 0",
        "x.yaml:10: hooks.erly_stopping.name: unknown hook 'erly_stopping'; did you mean "
        "'early_stopping'? (known: console, csv, early_stopping, jsonl, nan_guard, progress, "
        "tensorboard; a plugin can add others)",
    ]


def test_shared_options_are_judged_even_where_the_component_is_unknown(registries):
    tree = {"optimizer": {"name": "adan", "learning_rate": 11, "b9": 1}}
    assert [line.split(": ")[1] for line in problems(tree, registries)] == [
        "optimizer.name",
        "optimizer.learning_rate",
    ]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"model": {"name": "wide"}},
            "model.width: missing; expected a whole number between 1 and",
        ),
        (
            {"model": {"name": "wide", "width": 1, "even": 3}},
            "here: model.even: must be even, found 3",
        ),
        (
            {"model": {"name": "cnn", "kernel": [3]}},
            "expected a list of 2: a whole number, a whole",
        ),
        ({"model": {"name": "cnn", "hidden": [True]}}, "each item a whole number between 1 and"),
        ({"model": {"name": 3}}, "model.name: expected text, found 3"),
        (
            {"data": {"validation_fraction": 1}},
            "expected a number of at least 0 and below 1, found 1",
        ),
        ({"data": {"last_batch": "keep"}}, "expected 'pad' or 'drop', found 'keep'"),
        ({"optimizer": {"learning_rate": float("nan")}}, "between 1e-08 and 10, found nan"),
        ({"optimizer": {"weight_decay": float("inf")}}, "a number of at least 0, found inf"),
        ({"project": "../up"}, "expected text that matches ^[A-Za-z0-9]"),
        ({"project": "name\n"}, "expected text that matches ^[A-Za-z0-9]"),
        ({"hooks": 3}, "hooks: expected a section, found 3"),
        ({"hooks": {"jsonl": 3}}, "hooks.jsonl: expected a section, found 3"),
        (
            {"hooks": {"mine": {"name": "jsonl", "evry": 1}}},
            "hooks.mine.evry: unknown key; did you",
        ),
        ({"train": None}, "train: expected a section, found None"),
        ({"device": "x" * 200}, "'xxx"),
    ],
)
def test_refusals(tree, message, registries):
    (problem,) = problems(tree, registries)
    assert problem.startswith("here: ")
    assert message in problem
    assert len(problem) < 250


@pytest.mark.parametrize(
    ("tree", "dotted", "value"),
    [
        ({"optimizer": {"learning_rate": 1}}, "optimizer.learning_rate", 1.0),
        ({"train": {"epochs": 1e3}}, "train.epochs", 1000),
        ({"model": {"hidden": [64, 32.0]}}, "model.hidden", (64, 32)),
        ({"data": {"eval_batch_size": None}}, "data.eval_batch_size", None),
    ],
)
def test_what_can_only_mean_one_number_is_taken_as_it(tree, dotted, value, registries):
    config = check(tree, registries)
    for key in dotted.split("."):
        config = getattr(config, key)
    assert (config, type(config)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.yaml", 'train:\n  epochs: "12"\n'),
        ("x.sdn", "train:\n  epochs: '12'\n"),
        ("x.json", '{"train":\n {"epochs": "12"}}'),
    ],
)
def test_a_quoted_number_in_a_file_is_text(name, text, registries, write):
    assert problems(load(write(name, text)), registries) == [
        f"{name}:2: train.epochs: expected a whole number between 1 and 1000000, found '12', "
        "which is text; take away the quotes"
    ]


def test_a_quoted_number_in_a_list_or_a_dict_is_text_too(registries):
    tree = {"model": {"hidden": ["64"]}, "optimizer": {"clip_norm": "1"}}
    assert [line.split(": ")[1] for line in problems(tree, registries)] == [
        "model.hidden",
        "optimizer.clip_norm",
    ]


def test_problems_come_in_the_order_of_the_lines(registries, write):
    text = "train: {epochs: 0}\nmodel: {name: mpl}\nseed: -1\ndata: {name: mnist, flat: 3}\n"
    found = [line.split(": ")[:2] for line in problems(load(write("x.yaml", text)), registries)]
    assert found == [
        ["x.yaml:1", "train.epochs"],
        ["x.yaml:2", "model.name"],
        ["x.yaml:3", "seed"],
        ["x.yaml:4", "data.root"],  # missing
        ["x.yaml:4", "data.flat"],
    ]


def test_problems_come_source_by_source_and_without_lines_in_the_order_of_the_keys(
    registries, write
):
    file = load(write("x.yaml", "seed: -1\nloss: {name: l2}\ntrain: {epochs: 0}\n"))
    over = from_cli_dotlist(["train.accumulate=0", "loss.name=l1"])
    found = [line.split(": ")[:2] for line in problems(merge(file, over), registries)]
    assert found == [
        ["x.yaml:1", "seed"],
        ["x.yaml:3", "train.epochs"],
        ["command line", "loss.name"],
        ["command line", "train.accumulate"],
    ]
    tree = {"train": {"epochs": 0}, "model": {"name": "mpl"}, "hooks": {"x": {}}, "seed": -1}
    assert [line.split(": ")[1] for line in problems(tree, registries)] == [
        "train.epochs",
        "model.name",
        "hooks.x.name",
        "seed",
    ]


def test_hooks_are_named_by_their_key_and_switched_off_by_null_or_false(registries):
    tree = {
        "hooks": {
            "jsonl": {"every": 7},
            "second": {"name": "jsonl"},
            "csv": None,
            "console": False,
        }
    }
    hooks = check(tree, registries).hooks
    assert {key: (hook.name, getattr(hook, "every", None)) for key, hook in hooks.items()} == {
        "progress": ("progress", None),
        "jsonl": ("jsonl", 7),
        "nan_guard": ("nan_guard", None),
        "second": ("jsonl", 100),
    }
    assert tree["hooks"]["csv"] is None  # the caller's tree is as it was


def test_checked_configs_are_equal_by_value_and_frozen(registries):
    config = check(FULL, registries)
    assert config == check(ConfigDict(FULL), registries)
    assert config != check({**FULL, "seed": 1}, registries)
    with pytest.raises(
        FrozenConfigError, match="cannot write 'epochs': a checked config is frozen"
    ):
        config.train.epochs = 3
    with pytest.raises(FrozenConfigError):
        config.hooks["jsonl"].every = 3


@pytest.mark.parametrize(
    "write",
    [
        lambda hooks: hooks.clear(),
        lambda hooks: hooks.pop("csv"),
        lambda hooks: hooks.popitem(),
        lambda hooks: hooks.update(csv=None),
        lambda hooks: hooks.setdefault("csv"),
        lambda hooks: hooks.__setitem__("csv", None),
        lambda hooks: hooks.__delitem__("csv"),
        lambda hooks: hooks.__ior__({"csv": None}),
    ],
)
@pytest.mark.parametrize("written", [FULL, {}], ids=["full", "defaults"])
def test_the_hooks_of_a_checked_config_are_frozen(registries, written, write):
    config = check(written, registries)
    for subject in (config, copy.deepcopy(config), ExperimentConfig()):
        before = list(subject.hooks)
        with pytest.raises(FrozenConfigError, match="a checked config is frozen"):
            write(subject.hooks)
        assert list(subject.hooks) == before
    assert copy.deepcopy(config) == config


def test_nothing_can_be_deleted_from_a_checked_config(registries):
    config = check(FULL, registries)
    with pytest.raises(FrozenConfigError, match="cannot write 'seed'"):
        del config.seed
    with pytest.raises(FrozenConfigError, match="cannot write 'epochs'"):
        del config.train.epochs


@pytest.mark.parametrize("name", RESERVED_HOOKS)
@pytest.mark.parametrize("hook", ["{name: jsonl}", "{}", "null", "3"])
def test_the_programs_own_hooks_can_not_be_named_anew(registries, write, name, hook):
    path = write("x.yaml", f"hooks:\n  csv: {{}}\n  {name}: {hook}\n")
    (problem,) = problems(load(path), registries)
    assert f"x.yaml:3: hooks.{name}: every run has a hook of that name already" in problem
    assert "choose another key" in problem


@pytest.mark.parametrize("text", ["5", "true", "null", "[mlp]"])
def test_a_name_on_the_command_line_that_looks_like_another_type(registries, text):
    tree = merge({"model": {"hidden": [3]}}, from_cli_dotlist([f"model.name={text}"]))
    (problem,) = problems(tree, registries)
    assert problem.startswith(f"command line: model.name: unknown model {text!r}")
    tree = from_cli_dotlist([f"hooks.jsonl.name={text}", "hooks.jsonl.every=3"])
    (problem,) = problems(tree, registries)
    assert problem.startswith(f"command line: hooks.jsonl.name: unknown hook {text!r}")


def test_a_name_in_a_file_that_is_not_text(registries):
    tree = {"model": {"name": 5, "hidden": [3]}}
    assert problems(tree, registries) == ["here: model.name: expected text, found 5"]


def test_a_python_source_is_named_for_keys_of_no_file(registries):
    assert problems({"sed": 1}, registries)[0].startswith("here: sed: unknown key; did you mean")


def test_fault_26_what_a_config_names_is_never_imported(registries, write, tmp_path):
    sentinel = tmp_path / "sentinel"
    write("evil_target.py", f"open({str(sentinel)!r}, 'w')\n")
    path = write(
        "x.yaml", "plugins: [evil_target, ./evil_target.py]\nmodel: {name: evil_target.x}\n"
    )
    (problem,) = problems(load(path), registries)
    assert "x.yaml:2: model.name: unknown model 'evil_target.x'" in problem
    path = write("x.yaml", "plugins: [evil_target, ./evil_target.py]\n")
    assert check(load(path), registries).plugins == ("evil_target", "./evil_target.py")
    assert not sentinel.exists()


# Fault 22: every field, generated from the schema itself.

OTHER = {
    "model": {"name": "cnn"},
    "optimizer": {"name": "sgd"},
    "schedule": {"name": "cosine"},
    "hooks": {"console": {}},
}


def leaves(config, path=()):
    """`(path, field, value)` of every option of a checked config."""
    for key, field in fields_of(type(config)).items():
        value = getattr(config, key)
        if key == "hooks":
            for name, hook in value.items():
                yield from leaves(hook, (key, name))
        elif fields_of(field.annotation) is not None and value is not None:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), field, value


def lay(tree, path, value):
    """`tree` with `value` at `path`."""
    key, *rest = path
    return {**tree, key: lay(tree.get(key, {}), rest, value) if rest else value}


def yaml_rows(tree, path=()):
    """`(path, line)` of every key, nested by indentation."""
    for key, value in tree.items():
        deeper = isinstance(value, dict) and value
        here = (*path, key)
        yield here, f"{'  ' * len(path)}{key}: {'' if deeper else json.dumps(value)}"
        if deeper:
            yield from yaml_rows(value, here)


def outside(field):
    """Values just beyond the bounds, where there are any."""
    for rule in field.metadata:
        for name, step in {"ge": -1, "gt": 0, "le": 1, "lt": 0}.items():
            if getattr(rule, name, None) is not None:
                yield getattr(rule, name) + step


@pytest.mark.parametrize("start", [FULL, OTHER], ids=["full", "other"])
def test_fault_22_at_every_field(start, registries, write):
    fields = list(leaves(check(start, registries)))
    ranges = 0

    def refused(path, value, text, extra=None):
        rows = list(yaml_rows(lay(start, path, value)))
        row = [key for key, _ in rows].index(path)
        lines = [line for _, line in rows]
        if extra is not None:
            row += 1
            lines.insert(row, f"{'  ' * (len(path) - 1)}{extra}")
        file = write("x.yaml", "\n".join(lines) + "\n")
        with pytest.raises(ConfigError) as caught:
            check(load(file), registries)
        assert caught.value.exit_code == 2
        assert f"x.yaml:{row + 1}: {'.'.join(path)}{text}" in str(caught.value)

    for path, field, value in fields:
        key = path[-1]
        refused(path, value, ": duplicate key, first set on line", extra=f"{key}: again")
        refused(path, value, f"x: unknown key; did you mean '{key}'?", extra=f"{key}x: 1")
        refused(path, 3 if field.annotation is str else [["wrong"]], ": expected ")
        for beyond in outside(field):
            ranges += 1
            refused(path, beyond, ": expected ")
    assert len(fields) >= 35
    assert ranges >= 25


def test_registries_may_be_few():
    registry = Registry("model")

    @registry.register("mlp")
    def mlp(*, hidden: tuple[pydantic.PositiveInt, ...] = (1,)): ...

    assert check({"model": {"hidden": [2]}}, {"model": registry}).model.hidden == (2,)
    (problem,) = problems({"model": {"hidden": [0]}}, {"model": registry})
    assert "each item a whole number above 0, found [0]" in problem


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"workdir": "\udcff"}, "workdir"),
        ({"model": {"name": "wide", "\udcff": 3}}, "model."),
        ({"plugins": ["ä", "\ud800"]}, "plugins"),
    ],
)
def test_half_a_character_is_refused_before_a_file_has_to_hold_it(registries, tree, path):
    """C24: `--workdir $'\\xff'` came out as a traceback at the first save."""
    with pytest.raises(ConfigError, match=rf"config: {path}.*: expected text that UTF-8 can hold"):
        check(tree, registries)
    check({"project": "x", "workdir": "ä\u2028"}, registries)


# -- what a component knows of options that nobody has set ---------------------------------------


@pytest.fixture
def filling(registries):
    """Registries with a model, a hook and a metric whose `size` follows from their `like`."""

    def fill(options):
        if (like := options.get("like")) is None:
            raise OptionsError({"size": "missing; or say like what", "like": "missing"})
        if like == "torn":
            raise DataError("torn")
        if like == "nobody":
            raise ConfigError("nobody is there")
        return {"size": {"cat": 3, "dog": -1}[like]}

    for kind in ("model", "hooks", "metrics"):

        @registries[kind].register("sized", complete=fill)
        def sized(*, like: str | None = None, size: Annotated[int, Field(ge=1)] | None = None): ...

    return registries


def test_what_is_left_out_is_in_the_config(filling):
    config = check({"model": {"name": "sized", "like": "cat"}}, filling)
    assert config.model.size == 3
    assert check({"model": {"name": "sized", "like": "cat", "size": None}}, filling) == config
    assert check({"model": {"name": "sized", "like": "cat", "size": 9}}, filling).model.size == 9
    tree = {
        "hooks": {"first": {"name": "sized", "like": "cat"}, "sized": {"like": "cat", "size": 2}},
        "metrics": {"mine": {"name": "sized", "like": "cat"}},
    }
    config = check(tree, filling)
    assert (config.hooks["first"].size, config.hooks["sized"].size) == (3, 2)
    assert config.metrics["mine"].size == 3


def test_a_completion_is_given_what_the_command_line_means(filling):
    overrides = from_cli_dotlist(["model.name=sized", "model.like=007", "model.size=4"])
    seen = []
    filling["model"]._completions["sized"] = lambda options: seen.append(options) or {}
    check(overrides, filling)
    assert seen == [{"name": "sized", "like": "007", "size": 4}]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, ["model.size: missing; or say like what", "model.like: missing"]),
        ({"size": "x"}, ["model.size: expected a whole number", "model.like: missing"]),
        ({"like": "nobody"}, ["model.name: nobody is there"]),
        ({"like": "bird"}, ["model.name: model 'sized': KeyError: 'bird' ("]),
        ({"like": "dog"}, ["model.size: expected a whole number of at least 1"]),
        ({"lik": "cat"}, ["model.size: missing", "model.like: missing", "model.lik: unknown key"]),
    ],
)
def test_what_a_completion_says_is_wrong_stands_among_the_rest(filling, section, expected):
    found = problems({"model": {"name": "sized", **section}, "seed": -1}, filling)
    assert len(found) == len(expected) + 1
    for text in [*expected, "seed: expected"]:
        assert any(line.startswith(f"here: {text}") for line in found), text


def test_data_that_are_broken_are_broken_data(filling):
    with pytest.raises(DataError, match="torn"):
        check({"model": {"name": "sized", "like": "torn"}}, filling)


def test_a_model_that_was_replaced_completes_nothing(filling):
    tree = merge({"model": {"name": "sized", "like": "nobody"}}, {"model": {"name": "mlp"}})
    assert check(tree, filling).model.name == "mlp"


def test_what_a_whole_section_says_wrong_is_told_by_its_key_and_line(registries, write):
    file = write("x.yaml", "seed: 1\nschedule:\n  warmup_steps: 3\n  warmup_fraction: 0.1\n")
    with pytest.raises(ConfigError) as caught:
        check(load(file), registries)
    said = str(caught.value)
    assert said.startswith(
        "x.yaml:2: schedule: expected one of warmup_steps, warmup_epochs, warmup"
    )
    assert "found warmup_steps and warmup_fraction" in said


def test_problems_inside_of_an_option_have_its_line(filling, write):
    def fill(options):
        raise OptionsError({"sizes.1.width": "too wide"})

    filling["model"].register("nested", complete=fill)(lambda *, sizes: None)
    text = "model:\n  name: nested\n  sizes: [{width: 1}, {width: 2}]\n"
    with pytest.raises(ConfigError, match=r"^x.yaml:3: model.sizes.1.width: too wide$"):
        check(load(write("x.yaml", text)), filling)
