"""The joint training beside small phases on digits."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxtrain.engine import Events
from jaxtrain.errors import ConfigError
from jaxtrain.phases import PhasedConfig, Progressive, digest_of
from jaxtrain.phases.layout import Layout
from jaxtrain.run import RunData, Task, Trained
from tests.phases.small import SMALL, small
from tests.phases.test_phased_config import TREE, changed

JOINT = {**SMALL, "joint": True}
PROTECT = {"orthogonal": 0.1, "previous_kl": 0.5}


def test_it_is_the_last_phase_on_the_rows_of_all_and_without_its_protections():
    tree = changed(joint=True)
    tree["phases"]["one"]["model"] = {"hidden": [7]}
    tree["phases"]["one"]["seed"] = 6
    tree["phases"]["two"] |= {
        "lora": {"rank": 4, "protect": PROTECT}, "seed": 7, "optimizer": {"learning_rate": 0.5},
    }  # fmt: skip
    tree["phases"]["two"]["data"] = {"split_seed": 3, "batch_size": 16, "eval_batch_size": 9}
    phased = PhasedConfig.of(tree)
    config = phased.config_of("joint", workdir="w", start=("p", "a" * 64))
    assert config.data.parts == {
        "one": {"name": "digits", "split_seed": 2},
        "two": {"name": "digits", "split_seed": 3},
    }
    assert (config.data.name, config.data.share) == ("mixture", None)
    assert (config.data.batch_size, config.data.eval_batch_size) == (16, 9)
    # What it begins with is said by the first phase.
    assert (config.model.hidden, config.seed, config.start.path) == ((7,), 6, "p")
    assert (config.lora.rank, config.optimizer.learning_rate, config.workdir) == (4, 0.5, "w")
    assert not any(dict(config.lora.protect).values())
    # The last phase itself is as it was.
    assert phased.config_of("two").lora.protect.orthogonal == 0.1
    assert phased.every == ("base", "one", "two")


def test_its_section_overrides_what_the_last_phase_says():
    phased = PhasedConfig.of(TREE, ["joint.lora.rank=9", "joint.train.epochs=5"])
    config = phased.config_of("joint")
    assert (config.lora.rank, config.train.epochs, config.model.hidden) == (9, 5, (8,))
    assert PhasedConfig.of(changed(joint={"lora": None})).config_of("joint").lora is None


@pytest.mark.parametrize("nothing", [None, False])
def test_there_is_none_unless_it_is_asked_for(nothing):
    phased = PhasedConfig.of(changed(joint=nothing))
    assert phased.joint is None
    with pytest.raises(ConfigError, match="no phase is called 'joint'"):
        phased.config_of("joint")
    named = PhasedConfig.of(changed(joint=nothing, phases={"joint": {}, "two": {}}))
    assert Layout(named, Path("r")).run("joint") == Path("r/phases/1-joint")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"joint": 3}, "joint: expected true, false or a section like that of a phase, found 3"),
        ({"joint": {"data": {"batch_size": 3}}}, "joint.data: is said by the phases"),
        ({"joint": {"model": {"hidden": [3]}}}, "joint.model: is said by the phases"),
        ({"joint": {"seed": 3}}, "joint.seed: is said by the phases"),
        ({"joint": {"replay": {"share": 0.5}}}, "joint.replay: is said by the phases"),
        ({"joint": {"workdir": "x"}}, "joint.workdir: is said by the phases"),
        ({"joint": {"joint": True}}, "joint.joint: is said by the phases"),
        ({"joint": {"lora": {"protect": PROTECT}}}, "joint.lora.protect: nothing comes before it"),
        ({"joint": {"lora": {"rnk": 2}}}, "^joint: .*lora.rnk: unknown key"),
        (
            {"joint": {"lora": {"quantize": "nf4"}}},
            "joint.lora.quantize: the phases stand on floats",
        ),
        ({"joint": True, "phases": {"one": {}}}, "joint: expected two phases or more"),
        ({"joint": True, "phases": {"joint": {}, "two": {}}}, "phases.joint: a phase beside a"),
        (
            {"joint": True, "phases": {"one": {}, "two": {"data": {"stream": True}}}},
            "joint: the data of phase two are a stream",
        ),
    ],
)
def test_what_it_can_not_be_is_told_by_its_key(change, says):
    with pytest.raises(ConfigError, match=says):
        PhasedConfig.of(changed(**change))


def test_rows_that_can_not_be_put_together_are_refused_before_anything_is_trained(tmp_path):
    tree = small(two={"data": {"flat": False}, "lora": {"rank": 2}}) | {"joint": True}
    with pytest.raises(ConfigError, match=r"^joint: phases\.two\.data: expected rows of"):
        Progressive(PhasedConfig.of(tree), tmp_path / "run").train()
    assert list(tmp_path.iterdir()) == []


def test_without_a_base_it_begins_with_the_parameters_that_the_first_phase_begins_with(tmp_path):
    """Drawn by the first phase's seed."""
    tree = small(one={"seed": 4, "lora": {"rank": 2}}, two={"seed": 5, "lora": {"rank": 3}})
    progressive = Progressive(PhasedConfig.of({**tree, "base": None, "joint": True}), tmp_path)
    config = progressive.layout.config_of("joint")
    began = Task.of(RunData.of(config)).initial_state().frozen
    assert digest_of(began) == digest_of(progressive._first_base()[1]["params"])
    assert config.lora.rank == 3


# -- trained -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joined(trained, tmp_path_factory):
    """Phases that were over, and to which a joint training was added; and what was told."""
    directory = tmp_path_factory.mktemp("joined") / "run"
    shutil.copytree(trained[0].directory, directory)
    told = []
    progressive = Progressive(PhasedConfig.of(JOINT), directory)
    report = progressive.train(told=lambda name, experiment: told.append((name, experiment)))
    return progressive, report, told


def test_it_comes_behind_phases_that_are_over_and_leaves_them_as_they_are(trained, joined):
    progressive, report, told = joined
    assert [name for name, experiment in told if experiment is None] == ["base", "one", "two"]
    assert told[-1][0] == "joint"
    before = trained[0].directory
    for path in ("ledger.json", "scores/0.npz", "scores/2.npz", "scores/2-merged.npz"):
        assert (progressive.directory / path).read_bytes() == (before / path).read_bytes()
    assert sorted(path.name for path in (progressive.directory / "phases").iterdir()) == [
        "1-one",
        "2-two",
    ]
    assert [entry.phase for entry in progressive.ledger().entries] == ["one", "two"]
    own, other = report.to_json(), trained[1].to_json()
    assert (own["scores"], own["changes"]) == (other["scores"], other["changes"])
    assert other["joint"] is None


def test_its_row_is_in_the_report(joined):
    progressive, report, _ = joined
    run = Trained.load(progressive.run_directory("joint"))
    assert report.joint.scores.keys() == {"one", "two", "more"}
    for name in ("one", "two"):
        # Against the evaluation of an ordinary run, on the task's own test rows.
        rows = RunData.of(progressive.config.task_of(name)).sets["test"]
        assert report.joint.scores[name].value == pytest.approx(run.evaluate(rows)["accuracy"])
    written = json.loads((progressive.directory / "retention.json").read_text())
    assert written["joint"] == report.to_json()["joint"]
    assert "all tasks at once" in report.text()
    assert "JOINT" in report.text()


def test_it_stands_on_the_base_and_has_seen_the_rows_of_all_phases(joined):
    progressive, _, _ = joined
    run = Trained.load(progressive.run_directory("joint"))
    assert digest_of(run.base()) == progressive.ledger().entries[0].base
    assert run.config.start.path.startswith(str(progressive.run_directory("base")))
    assert len(run.sets()[0]["train"]) == 2 * 1293


def test_again_there_is_nothing_to_do(joined):
    progressive, report, _ = joined
    said = []
    again = progressive.train(told=lambda name, experiment: said.append((name, experiment)))
    assert said == [(name, None) for name in ("base", "one", "two", "joint")]
    assert again.to_json() == report.to_json()


def test_left_out_later_the_report_has_none(joined, trained):
    progressive, _, _ = joined
    report = Progressive(PhasedConfig.of(SMALL), progressive.directory).train()
    assert report.to_json() == trained[1].to_json()
    assert progressive.layout.scores("joint").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"joint": {"lora": {"rank": 3}}}, r"joint: lora\.rank: 4 there, 3 now"),
        (
            small(three={"data": {"split_seed": 5}, "lora": {"rank": 4}}),
            r"scores/joint\.npz away .* leave joint out(.|\n)*joint: data\.parts\.three",
        ),
    ],
)
def test_another_one_than_was_trained_is_refused_before_anything_else(joined, change, says):
    progressive, _, _ = joined
    with pytest.raises(ConfigError, match=says):
        Progressive(
            PhasedConfig.of({**SMALL, "joint": True, **change}), progressive.directory
        ).train()
    assert len(list((progressive.directory / "phases").iterdir())) == 2


def test_stopped_in_it_and_behind_it_it_goes_on_to_the_same_bytes(
    trained, joined, tmp_path, monkeypatch
):
    directory = tmp_path / "run"
    shutil.copytree(trained[0].directory, directory)
    progressive = Progressive(PhasedConfig.of(JOINT), directory)

    def fail(*_):
        raise RuntimeError("stopped here")

    def told(name, experiment):
        if name == "joint":
            experiment.trainer.on(Events.ITERATION_COMPLETED(once=4))(fail)

    with pytest.raises(RuntimeError, match="stopped here"):
        progressive.train(told=told)
    with monkeypatch.context() as patched:
        patched.setattr("jaxtrain.phases.progressive.save_row", fail)
        with pytest.raises(RuntimeError, match="stopped here"):
            progressive.train()
    assert not progressive.layout.scores("joint").exists()
    whole, report, _ = joined
    assert progressive.train().to_json() == report.to_json()
    for path in ("scores/joint.npz", "ledger.json"):
        assert (directory / path).read_bytes() == (whole.directory / path).read_bytes()
    states = [Trained.load(one.run_directory("joint")).state.params for one in (progressive, whole)]
    jax.tree.map(np.testing.assert_array_equal, *states)
