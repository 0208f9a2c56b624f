"""What is wrong with rows that are replayed is told by phase and by the keys that were written."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.phases import PhasedConfig, Progressive, describe_phases
from jaxtrain.phases.replay import in_words
from jaxtrain.run.data import read_splits
from tests.phases.test_phased_config import TREE, changed

# Images do not fit among the flat rows of the other phases.
IMAGES = {"split_seed": 2, "flat": False}


def test_replayed_rows_of_another_form_are_told_by_the_key_that_made_them(tmp_path, monkeypatch):
    tree = changed(base=None)
    tree["phases"]["one"]["data"] = IMAGES
    phased = PhasedConfig.of(tree)
    progressive = Progressive(phased, tmp_path / "run")
    monkeypatch.setattr("jaxtrain.phases.planning.describe_plan", lambda experiment: "its plan")
    monkeypatch.setattr(type(progressive.layout), "start", lambda *_: ("nowhere", "a" * 64))
    for way in (
        lambda: describe_phases(progressive),
        lambda: progressive._run("two", None, None),
    ):
        with pytest.raises(ConfigError) as told:
            way()
        (line,) = str(told.value).splitlines()
        assert line.startswith("phase two: phases.one.data, replayed: expected rows of ")
        assert line.endswith("; take the same length (or leave one out of phases.two.replay.of)")
        assert "data.parts" not in line


def test_a_part_of_a_replayed_mixture_is_told_with_what_it_is_a_part_of(tmp_path):
    missing = {"name": "csv", "train": str(tmp_path / "none.csv"), "target": "y"}
    nested = {"name": "mixture", "share": 0.5, "parts": {"two": {"name": "digits"}, "a": missing}}
    phased = PhasedConfig.of(changed(base={"data": nested}))
    with pytest.raises(ConfigError) as told, phased.told("two"):
        read_splits(phased.config_of("two"))
    assert isinstance(told.value.__cause__, DataNotFoundError)
    line = str(told.value)
    assert line.startswith("phase two: base.data, replayed: data.parts.a: ")
    assert "none.csv" in line
    assert line.endswith(" (or leave base out of phases.two.replay.of)")


def test_broken_data_stay_broken_data():
    with pytest.raises(DataError, match=r"^phase one: rows: broken$"), told("one"):
        raise DataError("rows: broken")
    with pytest.raises(KeyError, match="other"), told("one"):
        raise KeyError("other")


def told(name):
    return PhasedConfig.of(TREE).told(name)


def test_what_streams_and_what_replays_is_told_by_phase():
    tree = changed()
    tree["phases"]["two"]["data"] = {"name": "digits", "stream": True}
    with pytest.raises(ConfigError, match=r"phase two: phases\.two\.data\.stream: .*replay out"):
        PhasedConfig.of(tree)


def test_only_names_of_phases_are_translated():
    assert in_words("data.parts.base2: x", "two", ["base"]) == "phase two: data.parts.base2: x"
    assert in_words("data.parts.base: x", "two") == "phase two: data.parts.base: x"
    said = in_words("data.parts: data.parts.one.split_seed: expected 1, found 2", "two", ["one"])
    assert said.startswith("phase two: phases.one.data.split_seed, replayed: expected 1, found 2 (")
    assert PhasedConfig.of(TREE).replayed("two") == ("base", "one")
    assert PhasedConfig.of(TREE).replayed("one") == ()
