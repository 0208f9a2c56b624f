from pathlib import Path

import pytest

from jaxtrain.config import merge
from jaxtrain.errors import ConfigError
from jaxtrain.phases import PhasedConfig, is_phased
from jaxtrain.run import RunData

TREE = {
    "project": "two",
    "data": {"name": "digits", "batch_size": 64},
    "model": {"name": "mlp", "hidden": [8]},
    "base": {"data": {"split_seed": 1}, "train": {"epochs": 3}},
    "phases": {
        "one": {"data": {"split_seed": 2}, "lora": {"rank": 2}},
        "two": {"data": {"split_seed": 3}, "lora": {"rank": 4}, "replay": {"share": 0.25}},
    },
    "retention": {"untrained": {"more": {"name": "digits", "split_seed": 4}}},
}


def changed(**changes):
    tree = {**TREE, "phases": {name: dict(own) for name, own in TREE["phases"].items()}}
    return {**tree, **changes}


def test_each_phase_is_an_ordinary_config():
    phased = PhasedConfig.of(TREE, ["seed=3", "phases.one.lora.alpha=5", "train.epochs=2"])
    assert phased.every == ("base", "one", "two")
    base, one = (
        phased.config_of("base"),
        phased.config_of("one", workdir="w", start=("p", "a" * 64)),
    )
    assert (base.lora, base.train.epochs, base.data.split_seed, base.seed) == (None, 3, 1, 3)
    assert (one.lora.rank, one.lora.alpha, one.train.epochs, one.seed) == (2, 5.0, 2, 3)
    assert (one.workdir, one.start.path, one.start.digest) == ("w", "p", "a" * 64)
    assert one.model.hidden == (8,)


def test_what_is_replayed_is_all_that_comes_before_or_what_is_named():
    two = PhasedConfig.of(TREE).config_of("two")
    assert (two.data.name, two.data.share, two.data.batch_size) == ("mixture", 0.25, 64)
    assert {name: part["split_seed"] for name, part in two.data.parts.items()} == {
        "two": 3,
        "base": 1,
        "one": 2,
    }
    named = changed()
    named["phases"]["two"]["replay"] = {"share": 0.5, "of": ["one"]}
    assert list(PhasedConfig.of(named).config_of("two").data.parts) == ["two", "one"]
    # A task is measured on its own rows.
    assert PhasedConfig.of(TREE).task_of("two").data.name == "digits"


def test_an_untrained_suite_has_nothing_of_the_phases_data():
    more = PhasedConfig.of(TREE).task_of("more")
    assert (more.data.name, more.data.split_seed, more.data.batch_size) == ("digits", 4, 64)
    assert more.lora is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"phases": {}}, "phases: expected at least one"),
        ({"phases": {"one": 3}}, "phases.one: expected a section"),
        ({"phases": {"one": {"project": "x"}}}, "phases.one.project: stands above"),
        ({"phases": {"base": {}}}, "phases.base: a phase can't be called so"),
        ({"phases": {"a b": {}}}, "a phase can't be called so"),
        ({"phases": {"one": {"lora": {"rnk": 2}}}}, "phase one: .*lora.rnk: unknown key"),
        ({"phases": {"one": {"model": {"hidden": "x"}}}}, "phase one: .*model.hidden"),
        (
            {"phases": {"one": {"replay": {"share": 2}}}},
            "phases.one.replay.share: expected a number above 0 and below 1, found 2",
        ),
        ({"phases": {"one": {"replay": {"shar": 2}}}}, "replay.shar: unknown key; did you mean"),
        ({"phases": {"one": {"replay": 0.2}}}, "phases.one.replay: expected a section, found 0.2"),
        ({"phases": {"one": {"replay": {"share": 0.2, "of": ["two"]}}}}, "expected some of base"),
        ({"base": None, "phases": {"one": {"replay": {"share": 0.2}}}}, "nothing before it"),
        ({"start": "runs/x"}, "start: a config with a base"),
        ({"retention": {"untrained": {"one": {"name": "digits"}}}}, "a phase has that name"),
        ({"retention": {"untrained": {"more": {"name": "digit"}}}}, "digit"),
        (
            {"retention": {"untrain": {}}},
            "retention.untrain: unknown key; did you mean 'untrained'",
        ),
        ({"modle": {}}, "modle: unknown key"),
    ],
)
def test_what_is_wrong_is_told_by_phase_and_key(change, says):
    with pytest.raises(ConfigError, match=says):
        PhasedConfig.of(changed(**change))


def test_only_a_config_with_phases_is_one():
    assert is_phased(TREE)
    assert not is_phased({"data": {"name": "digits"}})
    with pytest.raises(ConfigError, match="no phase is called 'tow'; did you mean 'two'"):
        PhasedConfig.of(TREE).config_of("tow")


def test_a_start_above_the_phases_is_that_of_the_first():
    start = {"path": "runs/x", "digest": "a" * 64}
    phased = PhasedConfig.of({**TREE, "base": None, "start": start})
    assert phased.config_of("one").start.digest == "a" * 64
    assert phased.config_of("two").start is None
    assert phased.task_of("two").start is None
    phases = {"one": {}, "two": {"start": start}}
    with pytest.raises(ConfigError, match="phase two: start: it begins with what the last one"):
        PhasedConfig.of({**TREE, "phases": phases})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"retention": {"untrained": {"more": "digits"}}}, "untrained.more: expected a section"),
        ({"retention": {"untrained": {"more": None}}}, "untrained.more: expected a section"),
        (
            {"phases": {"two": {"lora": {"rank": 4, "quantize": "nf4"}}}},
            "phase two: lora.quantize: expected none, found nf4; each phase is merged",
        ),
        ({"base": {"lora": {"rank": 2}}}, "base.lora: the base is trained whole"),
    ],
)
def test_what_would_fail_behind_the_training_is_refused_before(change, says):
    with pytest.raises(ConfigError, match=says):
        PhasedConfig.of(changed(**change))


def test_data_beside_what_is_replayed_are_checked_as_strictly_as_others():
    tree = changed()
    tree["phases"]["two"]["data"] = {"split_seed": "3"}
    with pytest.raises(ConfigError, match=r"data\.split_seed: expected a whole number"):
        PhasedConfig.of(tree)


def test_the_example_on_real_files_reads_all_of_them(shared_data, tmp_path):
    config = Path(__file__).parents[2] / "configs" / "korean_medical_files.py"
    where = [f"data.root={shared_data}", f"data.cache={tmp_path}"]
    phased = PhasedConfig.of(config, where)
    rows = {name: RunData.of(phased.task_of(name)) for name in (*phased.every, *phased.untrained)}
    assert {name: len(data.train) for name, data in rows.items()} == {
        "base": 3486, "korean": 4903, "medical": 1159, "questions": 1906, "plain": 3486,
    }  # fmt: skip


def test_plugins_of_the_command_line_are_recorded_and_imported_only_by_name(tmp_path):
    """What is written into the directory says them, so whoever leaves them out is told."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from jaxtrain.models import MODELS, mlp\n"
        "@MODELS.register('tests_recorded')\n"
        "def recorded(num_outputs: int): return mlp(num_outputs, hidden=(8,))\n"
    )
    tree = {**TREE, "model": {"name": "tests_recorded"}, "plugins": ["json"]}
    phased = PhasedConfig.of(tree, plugins=[str(plugin)])
    assert phased.tree.plugins == ("json", str(plugin))
    assert PhasedConfig.of(phased.tree, plugins=[str(plugin)]).tree == phased.tree
    assert phased.config_of("two").plugins == ("json", str(plugin))
    assert "plugins" not in PhasedConfig.of(TREE).tree
    assert PhasedConfig.of({**TREE, "plugins": None}, plugins=["json"]).tree.plugins == ("json",)
    with pytest.raises(ConfigError, match=r"used with the plugins .*mine\.py"):
        PhasedConfig.of(merge(phased.tree, {"model": {"name": "nobodys"}}))
    with pytest.raises(ConfigError, match="plugins: expected"):
        PhasedConfig.of({**TREE, "plugins": 3}, plugins=["json"])
