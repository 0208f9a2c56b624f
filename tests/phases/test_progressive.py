"""Small phases on digits, in this process. How they are killed: tests/faults/test_phases.py."""

import json
import shutil

import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.phases import PhasedConfig, Progressive, describe_phases
from jaxtrain.run import Experiment, RunData, Task, Trained
from tests.phases.test_phased_config import TREE, changed

SMALL = {
    **TREE,
    "data": {"name": "digits", "batch_size": 320},
    "train": {"epochs": 1},
    "base": {"data": {"split_seed": 1}},
    "hooks": {"progress": None, "console": None, "csv": None},
}


def small(**phases):
    tree = {**SMALL, "phases": {name: dict(own) for name, own in SMALL["phases"].items()}}
    for name, own in phases.items():
        tree["phases"][name] = own
    return tree


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Phases that are over, and what their report says."""
    progressive = Progressive(PhasedConfig.of(SMALL), tmp_path_factory.mktemp("trained") / "run")
    return progressive, progressive.train()


def test_each_phase_stands_on_what_the_one_before_has_made(trained):
    progressive, _ = trained
    entries = progressive.ledger().entries
    assert [entry.phase for entry in entries] == ["one", "two"]
    assert entries[1].base == entries[0].merged
    first, second = (Trained.load(progressive.run_directory(name)) for name in ("one", "two"))
    before = lora.merge(first.state.frozen, first.state.params)
    for name in before:
        np.testing.assert_array_equal(before[name]["kernel"], second.state.frozen[name]["kernel"])
    base = Trained.load(progressive.run_directory("base"))
    np.testing.assert_array_equal(
        base.state.params["output"]["bias"], first.state.frozen["output"]["bias"]
    )


def test_the_adapter_is_saved_by_itself(trained):
    progressive, _ = trained
    for entry in progressive.ledger().entries:
        run = Trained.load(progressive.directory / entry.run)
        found = lora.load_lora(progressive.directory / entry.files, run.state.frozen)
        merged = lora.merge(run.state.frozen, found)
        for name, layer in run.merged().items():
            np.testing.assert_array_equal(layer["kernel"], merged[name]["kernel"])


def test_all_tasks_are_scored_after_each_phase_and_before_the_first(trained):
    progressive, report = trained
    matrix = progressive.matrix()
    assert matrix.names == ("one", "two", "more")
    assert [sorted(row) for row in matrix.rows] == [["more", "one", "two"]] * 3
    written = json.loads((progressive.directory / "retention.json").read_text())
    assert written == json.loads(json.dumps(report.to_json()))
    assert (progressive.directory / "retention.png").stat().st_size > 1000
    # Against the evaluation of an ordinary run.
    figures = Trained.load(progressive.run_directory("one"))
    rows = figures.sets()[0]["test"]
    assert matrix.rows[1]["one"].mean() == pytest.approx(figures.evaluate(rows)["accuracy"])
    assert matrix.rows[1]["one"].mean_nll() == pytest.approx(
        figures.evaluate(rows)["loss"], rel=1e-5
    )


def test_again_there_is_nothing_to_do(trained):
    progressive, report = trained
    before = {path: path.stat().st_mtime_ns for path in progressive.directory.glob("phases/**/*")}
    said = []
    again = progressive.train(told=lambda name, experiment: said.append((name, experiment)))
    assert said == [("base", None), ("one", None), ("two", None)]
    assert again.to_json() == report.to_json()
    after = {path: path.stat().st_mtime_ns for path in progressive.directory.glob("phases/**/*")}
    assert after == before


def test_a_phase_is_an_ordinary_run(trained):
    progressive, _ = trained
    directory = progressive.run_directory("two")
    config = progressive.config.config_of("two", workdir=str(directory))
    saved = Trained.load(directory).config
    assert saved.start.path.startswith(str(progressive.run_directory("one")))
    assert config.lora == saved.lora
    experiment = Experiment(Task.of(RunData.of(saved)), directory)
    assert experiment.train()["total_epochs"] == 1  # nothing to do: it is over


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


def test_whoever_takes_the_whole_for_a_run_is_told_the_phases(trained):
    with pytest.raises(ConfigError, match=r"several phases; name one of them: .*1-one, .*2-two"):
        Trained.load(trained[0].directory)


def test_what_is_over_stays_as_it_is_and_what_is_not_may_be_another(trained, tmp_path):
    progressive, _ = trained
    for tree, says in (
        ({**SMALL, "phases": {"two": {}, "one": {}}}, "one, two are over"),
        (small(zero={}) | {"phases": {"zero": {}, **SMALL["phases"]}}, "one, two are over"),
    ):
        with pytest.raises(ConfigError, match=says):
            Progressive(PhasedConfig.of(tree), progressive.directory).train()
    longer = small(three={"data": {"split_seed": 5}, "lora": {"rank": 1}})
    report = Progressive(PhasedConfig.of(longer), progressive.directory).train()
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
    Progressive(PhasedConfig.of(SMALL), tmp_path)._refuse_others("auto")


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
    from jaxtrain.config import load

    return load(directory / "config.yaml")


def test_without_a_base_it_begins_with_what_the_config_says(tmp_path):
    tree = changed(**{**SMALL, "base": None})
    tree["phases"] = {"one": {"data": {"split_seed": 2}, "lora": {"rank": 2, "dora": True}}}
    progressive = Progressive(PhasedConfig.of(tree), tmp_path / "run")
    plan = describe_phases(progressive)
    assert "begins     with what the config says" in plan
    assert "trains     an adapter of rank 2, alpha 16 dora" in plan
    assert list((tmp_path).iterdir()) == []
    report = progressive.train()
    assert len(report.scores) == 2
    # Row 0 is of the very parameters that the adapter stands beside.
    from jaxtrain.phases import digest_of

    run = Trained.load(progressive.run_directory("one"))
    assert progressive.ledger().entries[0].base == digest_of(run.state.frozen)


def test_a_plan_tells_all_phases_and_writes_nothing(tmp_path):
    plan = describe_phases(Progressive(PhasedConfig.of(SMALL), tmp_path / "run"))
    for line in (
        "phases     base, one, two",
        "begins     with what one has made",
        "trains     all parameters",
        "protects   25% of its rows are of earlier phases",
        "scored     after each phase: one, two; untrained: more",
    ):
        assert line in plan
    assert list(tmp_path.iterdir()) == []


PROTECT = {"orthogonal": 0.1, "previous_kl": 0.5, "project": 0.3}


def test_all_protections_and_pissa_go_through_a_run(tmp_path):
    """What acts is what is saved, merged, scored and read back."""
    tree = {
        **SMALL,
        "phases": {
            "one": {"lora": {"rank": 2, "protect": PROTECT}},
            "two": {"lora": {"rank": 3, "init": "pissa", "protect": {"orthogonal": 0.1}}},
            "three": {"lora": {"rank": 2, "protect": PROTECT}},
        },
        "retention": None,
    }
    phased = PhasedConfig.of(tree)
    rooms = [phased.config_of(n).lora.protect.earlier_rank for n in phased.names]
    assert rooms == [1, 3, 6]
    progressive = Progressive(phased, tmp_path / "run")
    report = progressive.train()
    for number, entry in enumerate(progressive.ledger().entries, start=1):
        trained = Trained.load(progressive.directory / entry.run)
        before = progressive._before(number)
        found = lora.load_lora(progressive.directory / entry.files, before)
        merged = lora.merge(before, found)
        for name, layer in trained.merged().items():
            np.testing.assert_allclose(layer["kernel"], merged[name]["kernel"], atol=1e-5)
    held = trained.state.frozen["directions"].u["output/kernel"]
    acts = trained.adapter().factors["output/kernel"]["a"]
    assert held.shape == (8, 2)
    np.testing.assert_allclose(held.T @ acts, 0, atol=1e-5)
    earlier = trained.state.frozen["earlier"]["output/kernel"]
    assert earlier.shape == (8, 6)
    assert np.abs(earlier).sum(axis=0).astype(bool).tolist() == [True] * 5 + [False]
    assert report.merged.largest == 0
    # Again, and by another process of the last phase: nothing to do, and nothing refused.
    assert progressive.train().to_json() == report.to_json()
    directory = progressive.run_directory("three")
    saved = Trained.load(directory).config
    Experiment(Task.of(RunData.of(saved)), directory).train()
