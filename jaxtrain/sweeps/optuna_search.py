"""Optuna asks for members: by ask and tell, in batches, with any of its samplers.

    search: optuna
    optuna: {sampler: tpe, options: {multivariate: true}, storage: "postgresql://…", study: mnist}

The study is in a database, by default one in the sweep's directory. Where several machines work on
one study, `members` counts those of all of them, and each has a directory of its own.

A sampler is made anew for each trial, from a seed that follows from the sweep's and from the
trial's place in the study: so what a sweep asks for depends on the study alone, and not on how
often the process was killed meanwhile; and two machines never ask for the same in the same place.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtrain.direction import Direction
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import replacing
from jaxtrain.files.retry import Retry
from jaxtrain.sweeps.config import SweepConfig
from jaxtrain.sweeps.ledger import AskedMember, Row
from jaxtrain.sweeps.optuna_samplers import sampler_maker
from jaxtrain.sweeps.space import Distribution

OWNER = "optuna_owner.json"
"""In the sweep's directory: which trials of a study it asked for."""

# Attributes of a trial: which directory asked for it, as which member; and that it is none.
_ASKED, _GIVEN_BACK = "jaxtrain.sweep", "jaxtrain.given_back"

_SQLITE_SECONDS = 60  # for which one machine waits while another one writes


class OptunaSearch:
    """See the module.

    Args:
        sweep: names sampler, storage and study.
        directory: of the sweep.
        direction: "min" or "max".

    Raises:
        ConfigError: Optuna is not installed; or there is no such sampler, or it takes no such
            options; or the storage can't be reached; or the study is one of another direction, or
            of another space.
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
        self._sampler_of = sampler_maker(sweep.optuna, seed=sweep.seed)
        self._alone = sweep.optuna.storage is None
        url = sweep.optuna.storage or f"sqlite:///{directory.absolute() / 'optuna.db'}"
        self._study, self._storage = self._opened(url, direction)
        self._refuse_another(direction)
        self._owner = _owner(directory)

    def ask(self, *, first: int, count: int) -> list[AskedMember]:
        """The next trials; those that this sweep had asked for when it was killed come first."""
        found = self._left(first)[:count]
        while len(found) < count and self._place() < self._sweep.members:
            trial = self._study.ask()
            place = self._place(before=trial.number)
            if place >= self._sweep.members:  # another machine has asked for the last one meanwhile
                self._give_back(trial.number)
                break
            # Nothing is sampled before the first value is asked for.
            self._study.sampler = self._sampler_of(place)
            values = {key: self._suggested(trial, key) for key in self._sweep.space.keys}
            member = first + len(found)
            # Last, and at once: who has it has all values.
            trial.set_user_attr(_ASKED, {"owner": self._owner, "member": member})
            found.append(AskedMember(member=member, values=values, trial=trial.number))
        return found

    def tell(self, asked: Sequence[AskedMember], rows: Sequence[Row]) -> None:
        """What has become of them: complete, pruned where they were cut, or failed.

        Raises:
            DataError: the study has no such trial.
        """
        states = self._optuna.trial.TrialState
        trials = {trial.number: trial for trial in self._study.get_trials(deepcopy=False)}
        by_member = {row.member: row for row in rows}
        for one in asked:
            row = by_member.get(one.member)
            if one.trial is None or row is None:
                continue
            if one.trial not in trials:
                raise DataError(
                    f"optuna.study: {self._study.study_name!r} has no trial {one.trial}, which "
                    f"asked.jsonl says of member {one.member}; it is not the study that was asked"
                )
            if trials[one.trial].state.is_finished():
                continue
            for epoch, value in row.rungs:
                if value is not None:
                    self._storage.set_trial_intermediate_value(self._id(one.trial), epoch, value)
            if row.value is None or row.status == "failed":
                self._study.tell(one.trial, state=states.FAIL)
            elif row.status == "cut":
                self._study.tell(one.trial, state=states.PRUNED)  # with what was reported last
            else:
                self._study.tell(one.trial, row.value)

    def _opened(self, url: str, direction: Direction) -> tuple[Any, Any]:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        options = {"connect_args": {"timeout": _SQLITE_SECONDS}} if url.startswith("sqlite") else {}

        def create() -> tuple[Any, Any]:
            storage = self._optuna.storages.RDBStorage(url, engine_kwargs=options)
            study = self._optuna.create_study(
                study_name=self._sweep.optuna.study,
                storage=storage,
                sampler=self._sampler_of(0),
                direction="minimize" if direction == "min" else "maximize",
                load_if_exists=True,
            )
            return study, storage

        # Of machines that begin together each makes the tables, and all but one find some of them
        # there, half way. AssertionError is alembic's word for that.
        passing = (DBAPIError, self._optuna.exceptions.StorageInternalError, AssertionError)
        try:
            return Retry(attempts=4, base=0.5).call(create, on=passing)
        except (*passing, SQLAlchemyError, ImportError, ValueError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConfigError(f"optuna.storage: {url!r} can't be used: {said}") from error

    def _refuse_another(self, direction: Direction) -> None:
        name, space = self._sweep.optuna.study, self._sweep.space.keys
        wanted, found = f"{direction}imize", self._study.direction.name.lower()
        if found != wanted:
            raise ConfigError(
                f"optuna.study: {name!r} is there already, and wants to {found}; this sweep wants "
                f"to {wanted}"
            )
        for trial in self._study.get_trials(deepcopy=False):
            for key, one in trial.distributions.items():
                if key not in space:
                    raise ConfigError(
                        f"optuna.study: {name!r} is there already, of a space that has {key}, "
                        "which this one has not; name another study"
                    )
                if one != (own := self._distribution(space[key])):
                    raise ConfigError(
                        f"optuna.study: {name!r} is there already, of a space with {key} as {one}, "
                        f"found {own}; name another study"
                    )

    def _place(self, before: int | None = None) -> int:
        """How many trials the study has, those of all machines; or has before one."""
        waiting = self._optuna.trial.TrialState.WAITING
        return sum(
            trial.state != waiting
            and _GIVEN_BACK not in trial.user_attrs
            and (before is None or trial.number < before)
            for trial in self._study.get_trials(deepcopy=False)
        )

    def _left(self, first: int) -> list[AskedMember]:
        """What this sweep had asked for, from a member on, and was killed before it noted it."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            asked = trial.user_attrs.get(_ASKED)
            if trial.state != self._optuna.trial.TrialState.RUNNING:
                continue
            if asked is None and self._alone:  # killed in the middle of its values
                self._give_back(trial.number)
            elif asked is not None and asked["owner"] == self._owner and asked["member"] >= first:
                values = {
                    key: self._value(key, trial.params[key]) for key in self._sweep.space.keys
                }
                found.append(AskedMember(member=asked["member"], values=values, trial=trial.number))
        return found

    def _give_back(self, number: int) -> None:
        """A trial is none. What is asked for in its place has its seed, and is the same."""
        self._storage.set_trial_user_attr(self._id(number), _GIVEN_BACK, True)
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)

    def _id(self, number: int) -> int:
        study = self._storage.get_study_id_from_name(self._study.study_name)
        return int(self._storage.get_trial_id_from_study_id_trial_number(study, number))

    def _suggested(self, trial: Any, key: str) -> Any:
        given = self._distribution(self._sweep.space.keys[key])
        if hasattr(given, "choices"):
            return self._value(key, trial.suggest_categorical(key, given.choices))
        if isinstance(given, self._optuna.distributions.IntDistribution):
            return trial.suggest_int(key, given.low, given.high, log=given.log)
        return trial.suggest_float(key, given.low, given.high, log=given.log)

    def _value(self, key: str, found: Any) -> Any:
        return json.loads(found) if self._sweep.space.keys[key].kind == "choice" else found

    def _distribution(self, given: Distribution) -> Any:
        kinds = self._optuna.distributions
        if given.kind == "choice":  # lists and null are no categories of Optuna's
            return kinds.CategoricalDistribution([json.dumps(value) for value in given.values])
        log = given.kind.startswith("log")
        if given.kind.endswith("int"):
            return kinds.IntDistribution(int(given.low), int(given.high), log=log)
        return kinds.FloatDistribution(given.low, given.high, log=log)


def _owner(directory: Path) -> str:
    """A name that no other directory has: on another machine it may have the same path."""
    path = directory / OWNER
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"owner": secrets.token_hex(16)}))
    return str(json.loads(path.read_text())["owner"])
