"""What is over has to be what the config says; nothing is written where it is not."""

import json
import shutil

import pytest

from jaxtrain.config import load
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.phases import PhasedConfig, Progressive
from jaxtrain.phases.layout import Layout
from jaxtrain.phases.same_phases import refuse_others
from tests.phases.small import SMALL, small


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": {"name": "mlp", "hidden": [9]}}, "phase base: model.hidden: .*8.* there, .*9"),
        ({"base": None}, "base: .* is what the phases there began with"),
        ({"base": {"data": {"split_seed": 1}, "seed": 4}}, "phase base: seed: 0 there, 4 now"),
        (small(one={"data": {"split_seed": 2}, "lora": {"rank": 3}}), "phase one: lora.rank: 2"),
        (
            {"retention": {"untrained": {"more": {"name": "digits", "split_seed": 5}}}},
            "task more: data.split_seed: 4 there, 5 now",
        ),
    ],
)
def test_what_is_over_and_was_another_is_refused_and_nothing_is_written(trained, change, says):
    progressive, _ = trained
    before = (progressive.directory / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=says):
        Progressive(PhasedConfig.of({**SMALL, **change}), progressive.directory).train()
    assert (progressive.directory / "config.yaml").read_text() == before


def test_what_is_over_stays_as_it_is_and_what_is_not_may_be_another(trained, tmp_path):
    progressive, _ = trained
    for tree, says in (
        ({**SMALL, "phases": {"two": {}, "one": {}}}, "one, two are over"),
        (small(zero={}) | {"phases": {"zero": {}, **SMALL["phases"]}}, "one, two are over"),
    ):
        with pytest.raises(ConfigError, match=says):
            Progressive(PhasedConfig.of(tree), progressive.directory).train()
    longer = small(three={"data": {"split_seed": 5}, "lora": {"rank": 1}})
    copy = tmp_path / "copy"
    shutil.copytree(progressive.directory, copy)
    report = Progressive(PhasedConfig.of(longer), copy).train()
    assert report.tasks == ("one", "two", "three")


def test_a_phase_that_would_begin_with_something_else_is_not_trained(trained, tmp_path):
    """As after a move to a machine that rounds otherwise: told before, not after the training."""
    copy = tmp_path / "copy"
    shutil.copytree(trained[0].directory, copy)
    record = json.loads((copy / "ledger.json").read_text())
    record["entries"][-1]["merged"] = "0" * 64
    (copy / "ledger.json").write_text(json.dumps(record))
    tree = load_back(copy).to_dict()
    tree["phases"]["last"] = {"data": {"split_seed": 6}}
    with pytest.raises(ConfigError, match="has made 000000000000; another machine"):
        Progressive(PhasedConfig.of(tree), copy).train()
    assert len(list((copy / "phases").iterdir())) == len(record["entries"])


def test_what_a_kill_has_left_of_the_first_file_is_no_stranger(tmp_path):
    (tmp_path / ".config.yaml.17.tmp").write_text("proj")
    refuse_others(Layout(PhasedConfig.of(SMALL), tmp_path), "auto")


def test_a_directory_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match=r"letter\.txt"):
        Progressive(PhasedConfig.of(SMALL), tmp_path).train()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(ConfigError, match="holds no phases"):
        Progressive(PhasedConfig.of(SMALL), tmp_path / "none").train(resume="must")
    assert not (tmp_path / "none").exists()


def test_scores_that_are_gone_are_missed(trained, tmp_path):
    progressive, _ = trained
    copy = tmp_path / "copy"
    shutil.copytree(progressive.directory, copy)
    (copy / "scores/1.npz").unlink()
    with pytest.raises(DataError, match=r"scores/1\.npz"):
        Progressive(PhasedConfig.of(load_back(copy)), copy).train()


def load_back(directory):
    return load(directory / "config.yaml")
