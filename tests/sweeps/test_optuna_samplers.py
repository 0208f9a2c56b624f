"""Optuna's samplers by name."""

from __future__ import annotations

import importlib.util

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.sweeps.config import OptunaSection

optuna = pytest.importorskip("optuna")

from jaxtrain.sweeps.optuna_samplers import sampler_maker  # noqa: E402 (it skips first)

# Who names such a sampler is told that it may change, and uses it.
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def _asked(make, count=6):
    """What a study in memory is asked, each trial told at once."""
    study = optuna.create_study()
    found = []
    for place in range(count):
        study.sampler = make(place)
        trial = study.ask()
        x = trial.suggest_float("x", -1.0, 1.0)
        study.tell(trial, x**2)
        found.append(x)
    return found


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii", "NSGAIII", "qmc"])
def test_a_trial_follows_from_the_seed_its_place_and_the_study(name):
    found = _asked(sampler_maker(OptunaSection(sampler=name), seed=0))
    assert len(set(found)) == 6
    assert _asked(sampler_maker(OptunaSection(sampler=name), seed=0)) == found
    # Not of the sequence without a scramble, which has no seed but for its first point.
    other = _asked(sampler_maker(OptunaSection(sampler=name), seed=1))
    assert other[0] != found[0]


@pytest.mark.parametrize("scramble", [False, True])
def test_a_sequence_goes_on_from_trial_to_trial(scramble):
    """Sobol's points fill the range evenly: of eight in a row one is in each eighth."""
    options = {"qmc_type": "sobol", "scramble": scramble}
    found = _asked(sampler_maker(OptunaSection(sampler="qmc", options=options), seed=0), 9)
    assert sorted(int((x + 1) * 4) for x in found[1:]) == list(range(8))


def test_what_is_no_point_of_a_sequence_is_drawn_anew_for_each_trial():
    make, study, found = (
        sampler_maker(OptunaSection(sampler="qmc"), seed=0),
        optuna.create_study(),
        [],
    )
    for place in range(12):
        study.sampler = make(place)
        found.append(study.ask().suggest_categorical("hidden", ["a", "b"]))
    assert set(found) == {"a", "b"}


def test_options_reach_the_sampler():
    section = OptunaSection(sampler="tpe", options={"n_startup_trials": 2, "multivariate": False})
    assert _asked(sampler_maker(section, seed=0)) != _asked(
        sampler_maker(OptunaSection(sampler="tpe"), seed=0)
    )


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"sampler": "tpee"}, r"optuna\.sampler: .*found 'tpee'; did you mean 'tpe'"),
        ({"sampler": "base"}, r"optuna\.sampler: expected one of cmaes, gp, nsgaii, .*tpe, found"),
        ({"sampler": "grid"}, r"found 'grid': search: grid has it"),
        ({"sampler": "brute_force"}, r"found 'brute_force': search: grid has it"),
        ({"options": {"n_startup": 3}}, r"optuna\.options\.n_startup: .*mean 'n_startup_trials'"),
        ({"options": {"seed": 3}}, r"optuna\.options\.seed: each trial has its own"),
        ({"sampler": "qmc", "options": {"qmc_type": "x"}}, r"optuna\.options: 'qmc' refuses them"),
    ],
)
def test_what_optuna_does_not_know(said, says):
    with pytest.raises(ConfigError, match=says):
        sampler_maker(OptunaSection(**said), seed=0)


def test_a_package_that_is_missing_is_said_at_once(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "cmaes" else find(name)
    )
    with pytest.raises(ConfigError, match=r"'cmaes' wants cmaes.*pip install cmaes"):
        sampler_maker(OptunaSection(sampler="cmaes"), seed=0)
