"""Members in all ways, small enough for seconds; and what is made of the figures."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import sweep
from benchmarks.populations import searches, ways
from benchmarks.populations.cases import CASES, SPACE, Setting
from jaxtrain.run import RunData, make_config
from jaxtrain.sweeps import SweepConfig
from jaxtrain.sweeps.search import RandomSearch
from tests import compiling

DATA = Path("somewhere")


def members(case="digits", *, count=None, some=2, epochs=None):
    return ways.Members.of(CASES[case], DATA, seed=3, some=some, count=count, epochs=epochs)


@pytest.mark.parametrize("case", CASES)
def test_a_members_own_run_has_its_values_and_what_all_have(case):
    found = members(case, epochs=7)
    assert len(found.values) == CASES[case].members
    config = make_config(found.case.file, found.words(1))
    assert config.train.epochs == 7
    assert config.optimizer.learning_rate == found.values[1]["optimizer.learning_rate"]
    assert config.model.dropout == found.values[1]["model.dropout"]
    assert found.values[1] != found.values[0]
    assert getattr(config.data, "root", None) == (str(DATA / "mnist") if case == "mnist" else None)


def test_a_sweep_draws_the_values_that_are_trained_one_by_one():
    said = ways.sweep_of(5, 3)
    asked = RandomSearch(SweepConfig(said)).ask(first=0, count=5)
    assert [one.values for one in asked] == members(count=5).values
    assert said["space"].keys() == SPACE.keys()


def test_some_are_those_from_the_first_to_the_last():
    assert members(count=64, some=4).timed == [0, 21, 42, 63]
    assert members(count=2, some=4).timed == [0, 1]


@pytest.mark.parametrize("task", searches.TASKS)
def test_the_tasks_of_the_searches_are_configs(task):
    case = searches.TASKS[task]
    words = [f"{key}={value}" for key, value in case.overrides(DATA).items()]
    config = make_config(case.file, [*words, *(f"{key}=0.1" for key in searches.SPACE)])
    first = config.train.epochs // searches.FACTOR ** (searches.RUNGS - 1)
    spent = searches.planned(searches.MEMBERS, first=first, last=config.train.epochs)
    assert spent == 7 * config.train.epochs  # random search spends as much, to the epoch


@pytest.fixture
def searched(monkeypatch, own_processes_are_here):
    """What was searched, where a search finds its seed over its members."""
    seen = []

    def search(config, words, count, seed, halving, directory):
        Path(directory).mkdir()
        seen.append((count, seed, words["seed"], halving))
        return {"value": 3.0 + seed if halving is None else 2.0 + seed % 2}

    monkeypatch.setattr(searches, "search", search)
    return seen


@pytest.fixture
def own_processes_are_here(monkeypatch):
    class Here:
        def __init__(self, name):
            pass

        def call(self, function, *arguments):
            return function(*arguments)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(searches, "OwnProcess", Here)


def test_both_searches_have_one_budget_and_one_seed(tmp_path, searched, capsys):
    out = tmp_path / "sweep.json"
    words = ["--parts", "halving", "--tasks", "adult", "--seeds", "2", "--out", str(out)]
    assert command.main(["sweep", *words]) == 0
    rungs = {"first": 1, "factor": 3}
    assert searched == [
        (count, seed, seed, halving)
        for seed in (200, 201)
        for count, halving in ((27, rungs), (7, None))
    ]
    found = json.loads(out.read_text())["halving"]["adult"]
    assert found["planned_member_epochs"] == {"halving": 63, "random": 63}
    assert found["seeds"] == [200, 201]
    assert found["difference"]["each"] == [201.0, 201.0]
    assert "in 2 of 2 seeds, 0 equal (63 and 63 epochs" in capsys.readouterr().out


def test_a_difference_has_an_interval_of_students_t():
    found = {"random": [{"value": v} for v in (3.0, 5.0, 4.0)], "halving": [{"value": 3.0}] * 3}
    said = searches.difference(found)
    assert (said["mean"], said["wins"], said["ties"]) == (1.0, 2, 1)
    # One standard deviation, three seeds: 4.3027 / sqrt(3).
    np.testing.assert_allclose(said["interval"], [1 - 2.48414, 1 + 2.48414], rtol=1e-5)
    one = {way: rows[:1] for way, rows in found.items()}
    assert searches.difference(one)["interval"] is None


@pytest.mark.slow
def test_ways_train_the_same_members(tmp_path, capsys, monkeypatch):
    """Processes as a user starts them: the sweep, and a run of each member."""
    for name, value in compiling.READS.items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "new" / "sweep.json"
    words = "--parts cli --cases digits --members 2 --some 2 --epochs 1 --rounds 1 --out"
    assert command.main(["sweep", *words.split(), str(out)]) == 0
    record = json.loads(out.read_text())["cases"]["digits"]
    assert record["ways"].keys() == {"sweep", "runs"}
    assert record["ways"]["sweep"][0]["values"].keys() == {"0", "1"}
    assert record["largest_relative_difference_of_a_best_loss"]["runs"] < 1e-5
    assert record["overrides"] == {"train.epochs": 1}
    assert record["times_as_long"]["runs"] > 0
    assert "digits: 2 members" in capsys.readouterr().out
    assert str(tmp_path) not in out.read_text()


def test_who_has_no_ray_is_left_out_with_the_reason(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -S -c 'import ray.tune'\n")
    python.chmod(0o755)
    ours = {"seconds": 2.0, "processor": 3.0, "timed": 2, "values": {0: 1.0}}
    monkeypatch.setitem(ways.WAYS, "sweep", lambda *_: ours)
    wanted = dataclasses.replace(members(count=2), python=str(python))
    (found,) = sweep.measure(wanted, ["ray"], rounds=1, directory=tmp_path)
    assert found["ways"].keys() == {"sweep"}
    why = "No module named 'ray'"
    assert found["left_out"]["ray"].endswith(
        f"{why}; --ray names a Python that has ray[tune] and torch"
    )
    assert "ray: left out" in sweep.table("digits", found)[-1]


def test_a_table_says_how_many_were_timed():
    def row(seconds, timed, values):
        return {"seconds": seconds, "processor": 1.0, "timed": timed, "values": values}

    measured = {
        "sweep": [row(2.0, 4, {0: 1.0, 1: 2.0}), row(4.0, 4, {0: 1.0, 1: 2.0})],
        "runs": [row(8.0, 1, {1: 2.0}), row(12.0, 1, {1: 2.5})],
    }
    found = sweep.summary(measured, 4)
    assert found["times_as_long"] == {"runs": 3.5}
    assert found["members_a_second"] == {"sweep": 4 / 3, "runs": 0.4}
    assert found["largest_relative_difference_of_a_best_loss"] == {"runs": 0.25}
    lines = sweep.table("digits", {"members": 4, "ways": measured, "left_out": {}, **found})
    assert lines[2].split() == [
        *("runs", "10.0", "s", "(3.50×)", "1.0", "s", "0.400", "members", "a", "second;"),
        *("1", "timed"),
    ]
    assert "timed" not in lines[1]


def test_too_few_to_tell_the_first_from_the_others(capsys):
    with pytest.raises(SystemExit):
        sweep.main(["--some", "1"])
    assert "--some, --members: expected 2 at least" in capsys.readouterr().err


# -- PyTorch ---------------------------------------------------------------------------------------

VALUES = {
    "optimizer.learning_rate": 3e-2,
    "optimizer.weight_decay": 1e-2,
    "model.dropout": 0.1,
    "loss.label_smoothing": 0.1,
}
SETTING = Setting(3, (16, 8), 10, 4, 3, 0, SPACE)


@pytest.fixture(scope="module")
def arrays():
    """Three classes that a column each tells apart."""
    random = np.random.default_rng(0)
    labels = np.arange(105, dtype=np.int32) % 3
    inputs = random.normal(size=(105, 6)).astype(np.float32)
    inputs[np.arange(105), labels] += 4
    return {
        "inputs": inputs[:84],
        "labels": labels[:84],
        "val_inputs": inputs[84:],
        "val_labels": labels[84:],
    }


def test_a_trial_learns_and_each_value_counts(arrays):
    pytest.importorskip("torch")
    from benchmarks.populations.torch_trial import mlp, trial

    found = list(trial(arrays, SETTING, VALUES))
    assert len(found) == SETTING.epochs
    assert found == list(trial(arrays, SETTING, VALUES))
    assert found[-1][0] < found[0][0]
    assert found[-1][1] > 0.8
    for key, value in VALUES.items():
        assert list(trial(arrays, SETTING, {**VALUES, key: 3 * value})) != found, key
    longer = dataclasses.replace(SETTING, epochs=5)
    assert list(trial(arrays, longer, VALUES))[:4] != found  # the rate falls over all epochs
    model = mlp(6, SETTING, dropout=0.1)
    assert sum(p.numel() for p in model.parameters()) == 7 * 16 + 17 * 8 + 9 * 3


def test_a_trials_rate_falls_in_half_a_cosine(arrays):
    pytest.importorskip("torch")
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from benchmarks.populations.torch_trial import trial

    rates = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    try:  # 84 rows: two batches an epoch
        list(trial(arrays, dataclasses.replace(SETTING, batch_size=60, epochs=2), VALUES))
    finally:
        hook.remove()
    np.testing.assert_allclose(np.divide(rates, 3e-2), [1, 0.853553, 0.5, 0.146447], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["optuna, one thread", "ray"])
def test_a_peers_script_trains_all_trials(arrays, tmp_path, monkeypatch, way):
    if why := ways.missing(way, sys.executable):
        pytest.skip(why)

    def leave_data(members, place, *, trials):
        np.savez(place / "data.npz", **arrays)
        dataclasses.replace(SETTING, trials=trials).write(place)

    monkeypatch.setattr(ways, "leave_data", leave_data)
    found = ways.WAYS[way](members(count=3, some=3), tmp_path)
    assert 0 < found["value"] < 1
    assert found["timed"] == 3
    assert found.get("epochs", 12) == 12
    assert found.get("threads", 1) == 1


def test_a_peer_reads_the_rows_of_our_run(tmp_path):
    found = members(count=2, epochs=5)
    ways.leave_data(found, tmp_path, trials=2)
    with np.load(tmp_path / "data.npz") as stored:
        arrays = dict(stored)
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes["inputs"][1] == shapes["val_inputs"][1] == 64
    assert shapes["labels"] == shapes["inputs"][:1] > shapes["val_labels"]
    held_out = RunData.of(make_config(found.case.file, found.words(1))).sets["validation"]
    np.testing.assert_array_equal(arrays["val_inputs"], held_out.inputs)
    np.testing.assert_array_equal(arrays["val_labels"], held_out.labels)
    setting = Setting.read(tmp_path)
    assert (setting.hidden, setting.epochs, setting.trials) == ([128, 128], 5, 2)
    assert (setting.batch_size, setting.outputs, setting.seed) == (32, 10, 3)
    assert {k: list(v) for k, v in setting.space.items()} == {k: list(v) for k, v in SPACE.items()}
