"""Optuna asks for members: by ask and tell, in batches, with any of its samplers.

    search: optuna
    optuna: {sampler: tpe, options: {multivariate: true}, storage: "postgresql://…", study: mnist}

The study is in a database, by default one in the sweep's directory. Where several machines work on
one study, `members` counts those of all of them.

A sampler is made anew for each member, from a seed that follows from the sweep's and from the
number of the trial: so what a sweep asks for depends on the study alone, and not on how often the
process was killed meanwhile.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.direction import Direction
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.ledger import AskedMember, Row
from jaxtrain.sweeps.space import Distribution

_OWNER = "jaxtrain.sweep"


class OptunaSearch:
    """See the module.

    Args:
        sweep: names sampler, storage and study.
        directory: of the sweep.
        direction: "min" or "max".

    Raises:
        ConfigError: Optuna is not installed; or there is no such sampler, or it takes no such
            options; or the study is one of another direction.
    """

    def __init__(self, sweep: SweepConfig, directory: Path, direction: Direction) -> None:
        try:
            import optuna
        except ImportError as error:
            raise ConfigError(
                f"search: optuna is not installed ({error}); pip install 'jaxtrain[sweep]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._sweep = sweep
        self._owner = str(directory.absolute())
        self._sampler(0)  # what is wrong with it is said before anything is made
        self._distributions = {
            key: self._distribution(value) for key, value in sweep.space.keys.items()
        }
        section = sweep.optuna
        storage = section.storage or f"sqlite:///{directory.absolute() / 'optuna.db'}"
        wanted: Any = "minimize" if direction == "min" else "maximize"
        self._study = optuna.create_study(
            study_name=section.study, storage=storage, direction=wanted, load_if_exists=True
        )
        if self._study.direction.name.lower() != wanted:
            raise ConfigError(
                f"optuna.study: {section.study!r} is there already, and wants to "
                f"{self._study.direction.name.lower()}; this sweep wants to {wanted}"
            )

    def ask(self, *, first: int, count: int) -> list[AskedMember]:
        """The next trials; those that this sweep had asked for when it was killed come first."""
        trials = self._study.get_trials(deepcopy=False)
        states = self._optuna.trial.TrialState
        room = max(0, self._sweep.members - sum(t.state != states.WAITING for t in trials))
        left = [
            trial
            for trial in trials
            if trial.state == states.RUNNING
            and trial.user_attrs.get(_OWNER) == self._owner
            and trial.user_attrs.get("member", -1) >= first
        ]
        found = [self._asked(t.user_attrs["member"], t.number, t.params) for t in left]
        while len(found) < count and room > 0:
            member, room = first + len(found), room - 1
            self._study.sampler = self._sampler(member)
            trial = self._study.ask(fixed_distributions=self._distributions)
            trial.set_user_attr("member", member)
            trial.set_user_attr(_OWNER, self._owner)
            found.append(self._asked(member, trial.number, trial.params))
        return found

    def tell(self, asked: Sequence[AskedMember], rows: Sequence[Row]) -> None:
        """What has become of them: complete, pruned where they were cut, or failed."""
        states = self._optuna.trial.TrialState
        trials = {trial.number: trial for trial in self._study.get_trials(deepcopy=False)}
        by_member = {row.member: row for row in rows}
        for one in asked:
            row = by_member.get(one.member)
            if one.trial is None or row is None or trials[one.trial].state.is_finished():
                continue
            for epoch, value in row.rungs:
                if value is not None:
                    trial = self._optuna.trial.Trial(self._study, trials[one.trial]._trial_id)
                    trial.report(value, epoch)
            if row.value is None or row.status == "failed":
                self._study.tell(one.trial, state=states.FAIL)
            elif row.status == "cut":
                self._study.tell(one.trial, state=states.PRUNED)  # with what was reported
            else:
                self._study.tell(one.trial, row.value)

    def _asked(self, member: int, trial: int, params: dict[str, Any]) -> AskedMember:
        values = {key: self._value(key, params[key]) for key in self._sweep.space.keys}
        return AskedMember(member=member, values=values, trial=trial)

    def _value(self, key: str, found: Any) -> Any:
        if self._sweep.space.keys[key].kind == "choice":
            return json.loads(found)
        return found

    def _distribution(self, given: Distribution) -> Any:
        kinds = self._optuna.distributions
        if given.kind == "choice":  # lists and null are no categories of Optuna's
            return kinds.CategoricalDistribution([json.dumps(value) for value in given.values])
        if given.kind.endswith("int"):
            log = given.kind.startswith("log")
            return kinds.IntDistribution(int(given.low), int(given.high), log=log)
        return kinds.FloatDistribution(given.low, given.high, log=given.kind.startswith("log"))

    def _sampler(self, member: int) -> Any:
        samplers = {
            name.removesuffix("Sampler").lower(): getattr(self._optuna.samplers, name)
            for name in dir(self._optuna.samplers)
            if name.endswith("Sampler") and name != "BaseSampler"
        }
        section = self._sweep.optuna
        made = samplers.get(section.sampler.lower().replace("_", ""))
        if made is None:
            raise ConfigError(
                f"optuna.sampler: expected one of {', '.join(sorted(samplers))}, found "
                f"{section.sampler!r}{did_you_mean(section.sampler, samplers)}"
            )
        options = dict(section.options)
        if "seed" in inspect.signature(made).parameters:
            source = np.random.SeedSequence([self._sweep.seed, member])
            options.setdefault("seed", int(source.generate_state(1)[0] % 2**31))
        try:
            return made(**options)
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigError(f"optuna.sampler {section.sampler!r}: {error}") from None
