"""Optuna, by ask and tell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.sweeps import SweepConfig
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
    asked = searcher.ask(first=0, count=3)
    cut = _row(asked[1], 0.5, status="cut", epochs=2)
    failed = _row(asked[2], None, status="failed", failed_at=3, rungs=())
    searcher.tell(asked, [_row(asked[0], 0.25), cut, failed])
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert study.trials[0].value == 0.25
    assert study.trials[1].intermediate_values == {1: 0.5, 2: 0.5}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"sampler": "tpee"},
            r"optuna\.sampler: .*found 'tpee'; did you mean 'tpe'",
        ),
        ({"options": {"n_startup": 3}}, r"optuna\.sampler 'tpe': .*n_startup"),
    ],
)
def test_what_optuna_does_not_know(tmp_path, more, says):
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
sweep = _sweep(optuna={"storage": sys.argv[1], "sampler": "random"}, members=16)
directory = Path(sys.argv[2]); directory.mkdir()
print(len(_run(directory, sweep)))
"""


@pytest.mark.slow
def test_two_machines_work_on_one_study(tmp_path):
    storage = f"sqlite:///{tmp_path / 'both.db'}"
    searcher_of(_sweep(optuna={"storage": storage}), tmp_path, "min")  # the tables are there
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", _MACHINE, storage, str(tmp_path / name)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    counts = [int(machine.communicate(timeout=120)[0]) for machine in machines]
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert sum(counts) == len(study.trials)
    # Both may ask at the same instant: neither goes further than a batch beyond.
    assert 16 <= len(study.trials) <= 20
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
