"""Optuna, by ask and tell."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys

import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files.retry import Retry
from jaxtrain.sweeps import SweepConfig, optuna_search
from jaxtrain.sweeps.ledger import Row
from jaxtrain.sweeps.search import searcher_of

optuna = pytest.importorskip("optuna")

SPACE = {
    "x": {"uniform": [-1.0, 1.0]},
    "lr": {"log_uniform": [1e-4, 1.0]},
    "n": {"int": [1, 8]},
    "hidden": [[64], [128, 128], None],
}


def _sweep(**more):
    said = {"space": SPACE, "members": 12, "search": "optuna", "batch": 4, **more}
    return SweepConfig(said)


def _row(one, value, **more):
    said = {
        "member": one.member,
        "batch": 0,
        "group": 0,
        "values": one.values,
        "status": "finished",
        "epochs": 2,
        "iterations": 20,
        "monitor": "val/loss",
        "value": value,
        "best_epoch": None if value is None else 2,
        "rungs": ((1, value), (2, value)),
        **more,
    }
    return Row(**said)


def _loss(values):
    return values["x"] ** 2 + 0.1 * values["n"]


def _run(directory, sweep, *, kill_behind=None):
    """A search to its end; a new searcher for every batch, as a killed process has one."""
    asked = []
    while True:
        found = searcher_of(sweep, directory, "min").ask(first=len(asked), count=4)
        if kill_behind == len(asked) and found:  # asked for, and nobody has written it down
            kill_behind = None
            continue
        if not found:
            return [(one.member, one.values) for one in asked]
        rows = [_row(one, _loss(one.values)) for one in found]
        for _ in range(2):  # twice is no error
            searcher_of(sweep, directory, "min").tell(found, rows)
        asked += found


def test_a_search_that_was_killed_asks_for_the_same(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    sweep = _sweep(optuna={"options": {"n_startup_trials": 4}})
    whole = _run(tmp_path / "a", sweep)
    assert [member for member, _ in whole] == list(range(12))
    assert _run(tmp_path / "b", sweep, kill_behind=4) == whole
    assert all(isinstance(values["n"], int) for _, values in whole)
    assert {repr(values["hidden"]) for _, values in whole} <= {"[64]", "[128, 128]", "None"}


def test_what_has_become_of_them_is_told(tmp_path):
    sweep = _sweep()
    searcher = searcher_of(sweep, tmp_path, "min")
    asked = searcher.ask(first=0, count=4)
    cut = _row(asked[1], 0.5, status="cut", epochs=2)
    failed = _row(asked[2], None, status="failed", failed_at=3, rungs=())
    never_good = _row(asked[3], None, status="stopped", rungs=())
    searcher.tell(asked, [_row(asked[0], 0.25), cut, failed, never_good])
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert study.trials[0].value == 0.25
    assert study.trials[1].intermediate_values == {1: 0.5, 2: 0.5}


def _on(directory, storage, **more):
    directory.mkdir(exist_ok=True)
    said = {"storage": f"sqlite:///{storage}", "study": "both", "sampler": "random"}
    return searcher_of(_sweep(optuna=said, **more), directory, "min")


def test_two_machines_ask_for_other_points_and_none_takes_the_others(tmp_path):
    """Not even where the directory has the same path on both of them."""
    one = _on(tmp_path / "same", tmp_path / "both.db").ask(first=0, count=3)
    shutil.rmtree(tmp_path / "same")
    two = _on(tmp_path / "same", tmp_path / "both.db").ask(first=0, count=3)
    assert [a.trial for a in one + two] == list(range(6))
    assert [a.member for a in two] == [0, 1, 2]
    assert len({a.values["x"] for a in one + two}) == 6
    # Killed, each finds its own again, a larger batch goes on behind them.
    assert _on(tmp_path / "same", tmp_path / "both.db").ask(first=0, count=2) == two[:2]
    again = _on(tmp_path / "same", tmp_path / "both.db").ask(first=1, count=3)
    assert again[:2] == two[1:]
    assert [(a.member, a.trial) for a in again[2:]] == [(3, 6)]


def test_who_comes_second_for_the_last_trial_gives_it_back(tmp_path, monkeypatch):
    one, two = (_on(tmp_path / name, tmp_path / "both.db", members=2) for name in "ab")
    assert len(one.ask(first=0, count=1)) == 1
    ask = two._study.ask

    def slow():
        monkeypatch.setattr(two._study, "ask", ask)
        assert [a.trial for a in one.ask(first=1, count=1)] == [1]
        return ask()

    monkeypatch.setattr(two._study, "ask", slow)
    assert two.ask(first=0, count=2) == []
    assert [t.state.name for t in two._study.trials] == ["RUNNING", "RUNNING", "FAIL"]
    assert one.ask(first=2, count=2) == []
    # One that was given back is none: there is room for another one where more are wanted.
    more = _on(tmp_path / "b", tmp_path / "both.db", members=3).ask(first=0, count=5)
    assert [(a.member, a.trial) for a in more] == [(0, 3)]


def test_killed_in_the_middle_of_a_trial_it_asks_for_the_same(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
    whole = searcher_of(_sweep(), tmp_path / "a", "min").ask(first=0, count=4)
    killed = searcher_of(_sweep(), tmp_path / "b", "min")
    suggest = killed._suggested

    def kill(trial, key):
        if trial.number == 2 and key == "n":
            raise KeyboardInterrupt
        return suggest(trial, key)

    monkeypatch.setattr(killed, "_suggested", kill)
    with pytest.raises(KeyboardInterrupt):
        killed.ask(first=0, count=4)
    found = searcher_of(_sweep(), tmp_path / "b", "min").ask(first=0, count=4)
    assert [(a.member, a.values) for a in found] == [(a.member, a.values) for a in whole]
    assert [a.trial for a in found] == [0, 1, 3, 4]


def test_a_trial_that_the_study_has_not_is_told_so(tmp_path):
    asked = searcher_of(_sweep(), tmp_path, "min").ask(first=0, count=1)
    (tmp_path / "optuna.db").unlink()
    with pytest.raises(DataError, match=r"has no trial 0, which asked\.jsonl says of member 0"):
        searcher_of(_sweep(), tmp_path, "min").tell(asked, [_row(asked[0], 1.0)])


@pytest.mark.parametrize(
    "space",
    [
        {**SPACE, "x": {"uniform": [-1.0, 2.0]}},
        {**SPACE, "hidden": [[64], [128, 128]]},
        {key: given for key, given in SPACE.items() if key != "lr"},
    ],
)
def test_a_study_of_another_space_is_refused(tmp_path, space):
    searcher_of(_sweep(), tmp_path, "min").ask(first=0, count=1)
    with pytest.raises(ConfigError, match=r"optuna\.study: 'sweep' is there already, of a space"):
        searcher_of(_sweep(space=space), tmp_path, "min")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"sampler": "tpee"},
            r"optuna\.sampler: .*found 'tpee'; did you mean 'tpe'",
        ),
        (
            {"storage": "sqlite:////nowhere/at/all.db", "study": "s"},
            r"optuna\.storage: 'sqlite:////",
        ),
        ({"storage": "postgres//x", "study": "s"}, r"optuna\.storage: 'postgres//x' can't be used"),
    ],
)
def test_what_optuna_does_not_know(tmp_path, monkeypatch, more, says):
    monkeypatch.setattr(optuna_search, "Retry", functools.partial(Retry, sleep=lambda _: None))
    with pytest.raises(ConfigError, match=says):
        searcher_of(_sweep(optuna=more), tmp_path, "min")
    assert not list(tmp_path.iterdir())


def test_a_study_of_another_direction_is_refused(tmp_path):
    searcher_of(_sweep(), tmp_path, "min")
    with pytest.raises(ConfigError, match=r"optuna\.study: 'sweep' is there already"):
        searcher_of(_sweep(), tmp_path, "max")


def test_without_optuna_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'jaxtrain\[sweep\]'"):
        searcher_of(_sweep(), tmp_path, "min")


_MACHINE = """
import sys
from pathlib import Path
from tests.sweeps.test_optuna_search import _run, _sweep
said = {"storage": sys.argv[1], "study": "both", "sampler": "random"}
sweep = _sweep(optuna=said, members=16)
directory = Path(sys.argv[2]); directory.mkdir()
print(len(_run(directory, sweep)))
"""


@pytest.mark.slow
def test_two_machines_work_on_one_study(tmp_path):
    storage = f"sqlite:///{tmp_path / 'both.db'}"
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", _MACHINE, storage, str(tmp_path / name)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    counts = [int(machine.communicate(timeout=120)[0]) for machine in machines]
    study = optuna.load_study(study_name="both", storage=storage)
    trained = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert sum(counts) == len(trained) == 16
    assert len({trial.params["x"] for trial in trained}) == 16
    # Both may ask for the last one at the same instant.
    assert {trial.state.name for trial in study.trials} <= {"COMPLETE", "FAIL"}
