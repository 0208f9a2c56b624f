"""Progressive training: phase after phase, each on what the one before has made.

    progressive = Progressive(PhasedConfig.of("configs/korean_medical.py"))
    report = progressive.train()                  # again: goes on, or there is nothing to do
    report.print()

A phase is an ordinary run in a directory of its own, `phases/1-korean`, which is resumed as any
other; when it is over its adapter is saved by itself, the model is scored on all tasks, and the
ledger has one entry more. What a kill leaves half done is done again, with the same result.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax

from jaxtrain import lora
from jaxtrain.checkpoint.manifest import manifest_digest
from jaxtrain.config import dump, load, to_dict
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import inside, make_directory, replacing, unfinished
from jaxtrain.files.lock import lock
from jaxtrain.files.paths import typed_directory
from jaxtrain.lora import Adapter
from jaxtrain.phases.ledger import Entry, Ledger, digest_of, options_of
from jaxtrain.phases.phased_config import BASE, PhasedConfig, is_phased
from jaxtrain.phases.scoring import baseline, score
from jaxtrain.retention import (
    Baseline,
    RetentionMatrix,
    RetentionReport,
    TaskScores,
    draw_retention,
    load_row,
    save_row,
)
from jaxtrain.run import Experiment, RunData, Task, Trained, choose_device
from jaxtrain.run.building import base_model
from jaxtrain.run.data import read_splits
from jaxtrain.run.deciding import differing
from jaxtrain.run.directory import run_id
from jaxtrain.run.found import find_checkpoint
from jaxtrain.run.resuming import Resume

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
LEDGER = "ledger.json"
REPORT = "retention.json"
PICTURE = "retention.png"


class Progressive:
    """The phases of a config in a directory.

    Args:
        config: the phases.
        directory: where; by default the config's `workdir`, or one named after the config.
    """

    def __init__(self, config: PhasedConfig, directory: str | Path | None = None) -> None:
        self.config = config
        named = config.tree.get("workdir") if directory is None else str(directory)
        self.directory = (
            typed_directory(str(named), what="workdir") if named is not None else _named(config)
        )

    def run_directory(self, name: str) -> Path:
        """Of a phase, or of the base."""
        if name == BASE and self.config.base is not None:
            return self.directory / BASE
        number = self.config.names.index(name) + 1
        return self.directory / "phases" / f"{number}-{name}"

    def ledger(self) -> Ledger:
        """What is over."""
        return Ledger.read(self.directory / LEDGER)

    def train(
        self,
        *,
        resume: Resume = "auto",
        guard: Callable[[Engine], AbstractContextManager[Any]] = nullcontext,
        told: Callable[[str, Experiment | None], None] = lambda name, experiment: None,
    ) -> RetentionReport:
        """Train what is left of the phases, and write the report.

        Args:
            resume: "auto" goes on where something is there; "must" wants it to be, "never" not.
            guard: a context for each run, given its trainer, such as one that heeds signals.
            told: called with the name of each phase and its experiment before it is trained; with
                None where it is over already.

        Returns:
            The retention report.

        Raises:
            Preempted: stopped by a signal; everything is saved.
            ConfigError: the directory holds something else, or another process has it; or a phase
                that is over was another.
            DataError: the ledger, or a file of scores, is broken.
        """
        choose_device(self._first().device)
        self._refuse_others(resume)
        with self._held() as ledger:
            if not self._row(0).exists():
                if self.config.base is not None:
                    self._run(BASE, None, guard, told)
                self._score_base()
            elif self.config.base is not None:
                told(BASE, None)
            for number, name in enumerate(self.config.names, start=1):
                if number <= len(ledger.entries):
                    told(name, None)
                    continue
                start = self._start(number)
                if ledger.entries:  # before hours are spent on it
                    ledger.refuse_another_base(name, digest_of(self._before(number)))
                self._run(name, start, guard, told)
                ledger = self._close(number, name, ledger)
            return self._report()

    # -- a phase -------------------------------------------------------------------------------

    def _run(
        self,
        name: str,
        start: tuple[str, str] | None,
        guard: Callable[[Engine], AbstractContextManager[Any]],
        told: Callable[[str, Experiment | None], None],
    ) -> None:
        directory = self.run_directory(name)
        config = self.config.config_of(name, workdir=str(directory), start=start)
        experiment = Experiment(Task.of(RunData.of(config)), directory)
        told(name, experiment)
        experiment.train(guard=guard)

    def _start(self, number: int) -> tuple[str, str] | None:
        """What phase `number` begins with: the checkpoint that counts of what comes before it."""
        if number == 1 and self.config.base is None:
            return None
        before = self.config.names[number - 2] if number > 1 else BASE
        path = find_checkpoint(self.run_directory(before)).path
        return str(path), manifest_digest(path)

    def _close(self, number: int, name: str, ledger: Ledger) -> Ledger:
        """Save the adapter, score all tasks, and write the phase into the ledger, in this order."""
        directory = self.run_directory(name)
        trained = Trained.load(directory)
        merged, lost = _merged(trained)
        before = self._before(number)
        said: dict[str, Any] = {}
        if (adapter := trained.adapter()) is not None:
            files = directory / "adapter"
            if not files.exists():
                _save(files, adapter, before)
            said = {
                "adapter": digest_of(adapter),
                "files": files.relative_to(self.directory).as_posix(),
                "lora": options_of(adapter.config),
            }
        ledger = ledger.with_entry(
            Entry(
                phase=name,
                run=directory.relative_to(self.directory).as_posix(),
                iteration=int(trained.meta["iteration"]),
                base=digest_of(before),
                merged=digest_of(merged),
                lost=lost,
                **said,
            )
        )
        self._score(number, trained, merged)
        ledger.write(self.directory / LEDGER)
        return ledger

    def _before(self, number: int) -> Any:
        """The parameters that phase `number` began with."""
        if number == 1:
            return self._first_base()[1]["params"]
        return Trained.load(self.run_directory(self.config.names[number - 2])).merged()

    # -- scores --------------------------------------------------------------------------------

    def _score_base(self) -> None:
        """Row 0: what the model could do before the first phase."""
        save_row(self._row(0), self._scored(*self._first_base()))

    def _first_base(self) -> tuple[Any, Mapping[str, Any]]:
        """The model before the first phase, and its variables."""
        if self.config.base is not None:
            trained = Trained.load(self.run_directory(BASE))
            return trained.model, trained.state.variables()
        config = self._first().model_copy(update={"lora": None})
        task = Task.of(RunData.of(config))
        return task.model, task.initial_state().variables()

    def _score(self, number: int, trained: Trained, merged: Any) -> None:
        """Row `number`, with the adapter attached; and beside it, merged into the parameters."""
        path = self._row(number)
        if not path.exists():
            save_row(path, self._scored(trained.model, trained.state.variables()))
        beside = self._row(number, merged=True)
        if not beside.exists():
            learnt = trained.learnt
            model = base_model(trained.config, learnt.num_outputs, learnt.batch())
            variables = {**trained.state.model_state, "params": merged}
            save_row(beside, self._scored(model, variables))

    def _scored(self, model: Any, variables: Mapping[str, Any]) -> dict[str, TaskScores]:
        row = {}
        for name, (config, splits) in self._tasks():
            row[name] = score(
                model,
                variables,
                splits.sets["test"],
                reader=splits.reader,
                config=config,
                max_length=getattr(config.model, "max_length", None),
            )
        return row

    def _tasks(self) -> Iterator[tuple[str, tuple[Any, Any]]]:
        for name in (*self.config.names, *self.config.untrained):
            config = self.config.task_of(name)
            splits = read_splits(config)
            if "test" not in splits.sets:
                raise ConfigError(f"task {name}: its data have no test rows, on which it is scored")
            yield name, (config, splits)

    def _row(self, number: int, *, merged: bool = False) -> Path:
        return self.directory / "scores" / f"{number}{'-merged' if merged else ''}.npz"

    def matrix(self) -> RetentionMatrix:
        """The scores so far.

        Raises:
            DataError: a file of scores is broken.
        """
        matrix = RetentionMatrix(
            tasks=self.config.names, untrained=tuple(self.config.untrained), phases=None
        )
        for number in range(len(self.config.names) + 1):
            if not self._row(number).exists():
                break
            matrix = matrix.with_row(number, load_row(self._row(number)))
        return matrix

    def _report(self) -> RetentionReport:
        last = len(self.config.names)
        baselines: dict[str, Baseline] = {}
        for name, (_, splits) in self._tasks():
            found = baseline(splits.sets["test"])
            if found is not None:
                baselines[name] = found
        report = RetentionReport.of(
            self.matrix(),
            baselines=baselines,
            merged=load_row(self._row(last, merged=True)),
            control=next(iter(self.config.untrained), None),
        )
        with replacing(self.directory / REPORT) as temporary:
            temporary.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
        draw_retention(report, self.directory / PICTURE)
        return report

    # -- the directory -------------------------------------------------------------------------

    def _first(self) -> Any:
        return self.config.config_of(BASE if self.config.base else self.config.names[0])

    def _refuse_others(self, resume: Resume) -> None:
        there = (self.directory / CONFIG).exists()
        if resume == "must" and not there:
            raise ConfigError(f"resume 'must': {self.directory} holds no phases to continue")
        if resume == "never" and there:
            raise ConfigError(
                f"resume 'never': {self.directory} holds phases; choose another workdir"
            )
        if there and not is_phased(load(self.directory / CONFIG)):
            raise ConfigError(f"{self.directory}: holds another run; choose another workdir")
        if not there and self.directory.exists() and any(self.directory.iterdir()):
            ours = {".lock", *(one.name for one in unfinished(self.directory, CONFIG))}
            others = sorted({one.name for one in self.directory.iterdir()} - ours)
            if others:
                raise ConfigError(
                    f"{self.directory}: holds {', '.join(others[:5])}, but no phases; choose "
                    "another workdir"
                )

    @contextlib.contextmanager
    def _held(self) -> Iterator[Ledger]:
        make_directory(self.directory)
        with lock(self.directory) as introduce:
            self._refuse_others("auto")
            ledger = self.ledger()
            self._refuse_other_order(ledger)
            self._refuse_other_phases(ledger)
            self._refuse_other_tasks()
            introduce()
            dump(self.config.tree, self.directory / CONFIG)
            make_directory(self.directory / "scores")
            yield ledger

    def _refuse_other_order(self, ledger: Ledger) -> None:
        done = tuple(entry.phase for entry in ledger.entries)
        if done != self.config.names[: len(done)]:
            raise ConfigError(
                f"phases: {', '.join(done)} are over in {self.directory}; expected the config to "
                f"begin with them, in this order, found {', '.join(self.config.names)}"
            )
        for number, entry in enumerate(ledger.entries, start=1):
            if not self._row(number).exists():
                raise DataError(
                    f"{self._row(number)}: is missing, though phase {entry.phase!r} is over"
                )

    def _refuse_other_phases(self, ledger: Ledger) -> None:
        """What is over is not trained again, so it has to be what the config says."""
        over = [entry.phase for entry in ledger.entries]
        if self._row(0).exists():
            if self.config.base is None and (self.directory / BASE).exists():
                raise ConfigError(
                    f"base: {self.directory / BASE} is what the phases there began with; expected "
                    "the section that it was made by, found none"
                )
            over = [BASE, *over] if self.config.base is not None else over
        wrong = []
        for name in over:
            directory = self.run_directory(name)
            if not directory.exists():
                if name == BASE:
                    raise ConfigError(
                        f"base: the phases in {self.directory} began without one, or it is gone; "
                        "leave it out, or choose another workdir"
                    )
                logger.warning(
                    "%s: is gone; whether phase %s was as now is not known", directory, name
                )
                continue
            begins = self._start(self.config.names.index(name) + 1) if name != BASE else None
            config = self.config.config_of(name, workdir=str(directory), start=begins)
            wrong += [
                f"phase {name}: {key}: {old!r} there, {new!r} now"
                for key, old, new in differing(find_checkpoint(directory).meta["config"], config)
            ]
        if wrong:
            raise ConfigError(
                f"{self.directory}: phases that are over were others; choose another workdir:\n  "
                + "\n  ".join(wrong)
            )

    def _refuse_other_tasks(self) -> None:
        """A column of the matrix is of one test set: what was scored is what will be."""
        if not self._row(0).exists():
            return
        before = PhasedConfig.of(load(self.directory / CONFIG), plugins=self.config.plugins)
        wrong = []
        for name in (*self.config.names, *self.config.untrained):
            if name not in (*before.names, *before.untrained):
                continue  # the matrix lacks it, and says so
            was = to_dict(before.task_of(name))
            wrong += [
                f"task {name}: {key}: {old!r} there, {new!r} now"
                for key, old, new in differing(was, self.config.task_of(name))
                if key == "data" or key.startswith("data.")
            ]
        if wrong:
            raise ConfigError(
                f"{self.directory}: tasks were scored already; choose another workdir:\n  "
                + "\n  ".join(wrong)
            )


def _merged(trained: Trained) -> tuple[Any, dict[str, float]]:
    adapter = trained.adapter()
    if adapter is None:
        return trained.state.params, {}
    return lora.merge_with_report(trained.base(), adapter)


def _save(path: Path, adapter: Adapter, before: Any) -> None:
    initial = None
    if adapter.config.init == "pissa":  # a function of the parameters alone
        _, initial = lora.init_pissa(jax.random.key(0), before, adapter.config)
    lora.save_lora(path, adapter, params=before, initial=initial)


def _named(config: PhasedConfig) -> Path:
    """`runs/<project>/<id>`, the id made of all phases."""
    every = config.every
    first = config.config_of(every[0])
    ids = " ".join(run_id(config.config_of(name)) for name in every)
    suites = json.dumps(config.tree.to_dict().get("retention"), sort_keys=True, default=repr)
    digest = hashlib.sha256(f"{' '.join(every)} {ids} {suites}".encode()).hexdigest()[:8]
    return inside(Path("runs"), first.project, f"seed{first.seed}-{digest}")
