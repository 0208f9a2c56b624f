"""The directory of a sweep."""

from __future__ import annotations

import json

import pytest

from jaxtrain.config import to_dict
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError
from jaxtrain.run import make_config
from jaxtrain.sweeps import SweepConfig
from jaxtrain.sweeps.directory import SweepDirectory
from jaxtrain.sweeps.ledger import AskedMember, Row
from jaxtrain.sweeps.tree import leaves
from tests.sweeps.small import tree

WORDS = ("schedule.name=constant", "hooks.tensorboard=null")
SWEEP = {"members": 4, "space": {"optimizer.learning_rate": [0.1, 0.2], "seed": {"int": [0, 3]}}}


def record_of(*words, **sweep):
    base = make_config(tree(*WORDS, *words))
    said = {
        "sweep": SweepConfig(SWEEP | sweep).to_json(),
        "config": dict(leaves(to_dict(base))),
        "tree": to_dict(tree(*WORDS, *words)),
        "plugins": {},
        "data": {"train": "abc"},
    }
    return json.loads(json.dumps(said))


RECORD = record_of()


@pytest.fixture
def base():
    return make_config(tree(*WORDS))


@pytest.fixture
def begun(tmp_path, base):
    directory = SweepDirectory(tmp_path / "s")
    with directory.held(RECORD, base) as claim:
        claim()
    return directory


def test_it_is_nobodys_before_it_is_claimed(tmp_path, base):
    directory = SweepDirectory(tmp_path / "s")
    with directory.held(RECORD, base):
        pass
    with pytest.raises(ConfigError, match=r"expected a sweep's directory, found no sweep.json"):
        directory.record()
    other = record_of(seed=1)
    with directory.held(other, base) as claim:
        claim()
    assert directory.record() == other
    assert (directory.path / "config.yaml").is_file()


def test_two_can_not_hold_it(begun, base):
    again = SweepDirectory(begun.path)
    with (
        begun.held(RECORD, base),
        pytest.raises(ConfigError, match=r"another process|process \d+"),
        again.held(RECORD, base),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "sweep", "match"),
    [
        ((), {"seed": 1}, r"holds another sweep; .*\n  seed: was 0, is now 1"),
        (("model.hidden=[9]",), {}, r"model.hidden: was \[8\], is now \[9\]"),
        ((), {"members": 3}, r"members was 4, and can't become fewer; found 3"),
        (("train.epochs=2",), {}, r"train.epochs was 4, and can't become fewer"),
        ((), {"monitor": "x"}, r"monitor: was None, is now 'x'"),
        ((), {"space": dict(reversed(SWEEP["space"].items()))}, r"in the order optimizer.learni"),
        (
            ("hooks.p={name: early_stopping}",),
            {},
            r"hooks.p.name: was None, is now 'early_stopping'",
        ),
        (("checkpoint.monitor=val/accuracy",), {}, r"checkpoint.monitor: was"),
        (("lora.rank=2",), {}, r"lora: was None"),
    ],
)
def test_another_sweep_is_refused_and_nothing_written(begun, words, sweep, match):
    now, base = record_of(*words, **sweep), make_config(tree(*WORDS, *words))
    with pytest.raises(ConfigError, match=match), begun.held(now, base) as claim:
        claim()
    assert begun.record() == RECORD


@pytest.mark.parametrize(
    ("words", "sweep"),
    [
        ((), {"members": 9, "batch": 2}),
        (("train.epochs=8",), {}),
        (("device=cpu", "data.workers=0", "hooks.csv=null"), {}),
    ],
)
def test_a_longer_one_goes_on(begun, words, sweep):
    now, base = record_of(*words, **sweep), make_config(tree(*WORDS, *words))
    with begun.held(now, base) as claim:
        claim()
    assert begun.record() == now


def test_one_of_an_earlier_version_goes_on(begun, base):
    """It lacks what has come since."""
    old = json.loads(json.dumps(RECORD))
    for section, key in (("sweep", "mesh"), ("config", "train.virtual_shards")):
        del old[section][key]
    del old["data"], old["plugins"]
    (begun.path / "sweep.json").write_text(json.dumps(old))
    with begun.held(RECORD, base):
        pass


def test_other_data_or_plugins_are_refused(begun, base):
    for key, other in (("data", {"train": "abd"}), ("plugins", {"mine.py": "0" * 64})):
        with (
            pytest.raises(CheckpointMismatchError, match=key),
            begun.held(RECORD | {key: other}, base),
        ):
            pass


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"sweep": {}, "config": {}, "tree": {}}'])
def test_a_record_that_somebody_has_edited(begun, text):
    (begun.path / "sweep.json").write_text(text)
    with pytest.raises(DataError, match=r"sweep.json: is no record of a sweep any more"):
        begun.record()


def test_files_of_others_are_left_alone(tmp_path, base):
    (tmp_path / "thesis.tex").write_text("")
    (tmp_path / "optuna_owner.json").write_text("{}")  # of a search that was ended at once
    directory = SweepDirectory(tmp_path)
    with (
        pytest.raises(ConfigError, match=r"found other files \(thesis.tex\)"),
        directory.held(RECORD, base),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == [
        "optuna_owner.json",
        "thesis.tex",
    ]


def test_what_was_asked_for_and_what_became_of_it(begun):
    members = [AskedMember(member=m, values={"a": m}) for m in range(2)]
    begun.append_asked(0, members)
    assert begun.asked() == [tuple(members)]
    row = Row(
        member=1, batch=0, group=0, values={"a": 1}, status="finished", epochs=1, iterations=4,
        monitor="val/loss",
    )  # fmt: skip
    begun.append_rows([row])
    assert begun.rows() == {1: row}
    begun.append_asked(2, [AskedMember(member=5, values={})])
    with pytest.raises(DataError, match=r"asked.jsonl: a batch is missing"):
        begun.asked()


def test_units_have_places_and_sizes_that_last(begun):
    assert begun.sizes(0) == []
    begun.keep_sizes(0, [3, 1])
    assert begun.sizes(0) == [3, 1]
    assert begun.unit(0, 1, 2).name == "000-01-2"
    unit = begun.unit(0, 0, 0)
    unit.mkdir()
    (unit / "history.jsonl").write_text(json.dumps({"epoch": 1}) + "\n")
    assert begun.history() == [{"epoch": 1}]
