"""Small phases on digits, in this process. How they are killed: tests/faults/test_phases.py."""

import json

import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.phases import PhasedConfig, Progressive, describe_phases
from jaxtrain.run import Experiment, RunData, Task, Trained
from tests.phases.small import SMALL
from tests.phases.test_phased_config import changed


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
    pages = [page.read_text() for page in progressive.directory.glob("phases/*/report.html")]
    assert len(pages) == len(progressive.config.names)
    assert all('id="retention"' in page for page in pages)
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


def test_whoever_takes_the_whole_for_a_run_is_told_the_phases(trained):
    with pytest.raises(ConfigError, match=r"several phases; name one of them: .*1-one, .*2-two"):
        Trained.load(trained[0].directory)


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
    joint = {"train": {"epochs": 7}}
    phased = PhasedConfig.of({**SMALL, "joint": joint})
    plan = describe_phases(Progressive(phased, tmp_path / "run"))
    for line in (
        "phases     base, one, two",
        "begins     with what one has made",
        "trains     all parameters",
        "protects   25% of its rows are of earlier phases",
        "scored     after each phase and the joint training: one, two; untrained: more",
    ):
        assert line in plan
    _, at_once = plan.split("\njoint      all tasks at once\n")
    assert at_once.startswith("begins     with what base has made\ntrains     an adapter of rank 4")
    assert "2,586 train" in at_once
    assert "length     7 epochs of 9 iterations: 63" in at_once
    assert "protects" not in at_once
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
    # What protections add to the loss is told apart from it, in training alone.
    figures = json.loads((progressive.run_directory("three") / "metrics.json").read_text())
    assert 0 < figures["final_train_penalty"] < figures["final_train_loss"]
    assert figures["final_val_penalty"] is None
    # Again, and by another process of the last phase: nothing to do, and nothing refused.
    assert progressive.train().to_json() == report.to_json()
    directory = progressive.run_directory("three")
    saved = Trained.load(directory).config
    Experiment(Task.of(RunData.of(saved)), directory).train()


@pytest.mark.parametrize(("given", "most"), [({}, 2048), ({"max_length": 48}, 48)])
def test_questions_are_as_long_as_the_model_is_meant_for(tmp_path, monkeypatch, given, most):
    """As `evaluate` has them, also where the config leaves that to the family."""
    tree = {
        "data": {"name": "facts", "root": str(tmp_path), "count": 8, "length": 48},
        "model": {"name": "decoder", "width": 8, "layers": 1, "heads": 2, **given},
        "loss": {"name": "next_token"},
        "phases": {"one": {"lora": {"rank": 1}}},
    }
    asked = []
    monkeypatch.setattr(
        "jaxtrain.phases.progressive.score", lambda *_, **options: asked.append(options)
    )
    Progressive(PhasedConfig.of(tree), tmp_path / "run")._scored(None, None)
    assert [options["max_length"] for options in asked] == [most]
