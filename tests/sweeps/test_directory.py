"""The directory of a sweep."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.run import make_config
from jaxtrain.sweeps.directory import SweepDirectory
from jaxtrain.sweeps.ledger import AskedMember, Row
from tests.sweeps.small import tree

RECORD = {
    "sweep": {"members": 4, "batch": 4, "seed": 0},
    "config": {"train.epochs": 3, "device": "auto", "model.name": "mlp"},
    "tree": {},
}


def changed(section, **values):
    return RECORD | {
        section: RECORD[section] | {k.replace("__", "."): v for k, v in values.items()}
    }


@pytest.fixture
def base():
    return make_config(tree())


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
    other = changed("sweep", seed=1)
    with directory.held(other, base) as claim:
        claim()
    assert directory.record() == other
    assert (directory.path / "config.yaml").read_text().startswith("")


def test_two_can_not_hold_it(begun, base):
    again = SweepDirectory(begun.path)
    with (
        begun.held(RECORD, base),
        pytest.raises(ConfigError, match=r"another process|process \d+"),
        again.held(RECORD, base),
    ):
        pass


@pytest.mark.parametrize(
    ("now", "match"),
    [
        (changed("sweep", seed=1), r"holds another sweep; .*\n  seed: was 0, is now 1"),
        (changed("config", model__name="cnn"), r"model.name: was 'mlp', is now 'cnn'"),
        (changed("sweep", members=3), r"members was 4, and can't become fewer; found 3"),
        (changed("config", train__epochs=2), r"train.epochs was 3, and can't become fewer"),
        (changed("sweep", monitor="x"), r"monitor: was None, is now 'x'"),
    ],
)
def test_another_sweep_is_refused_and_nothing_written(begun, base, now, match):
    with pytest.raises(ConfigError, match=match), begun.held(now, base) as claim:
        claim()
    assert begun.record() == RECORD


@pytest.mark.parametrize(
    "now",
    [
        changed("sweep", members=9, batch=2),
        changed("config", train__epochs=8),
        changed("config", device="cpu"),
    ],
)
def test_a_longer_one_goes_on(begun, base, now):
    with begun.held(now, base) as claim:
        claim()
    assert begun.record() == now


def test_files_of_others_are_left_alone(tmp_path, base):
    (tmp_path / "thesis.tex").write_text("")
    directory = SweepDirectory(tmp_path)
    with (
        pytest.raises(ConfigError, match=r"found other files \(thesis.tex\)"),
        directory.held(RECORD, base),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == [
        "thesis.tex"
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
