"""Progressive training: phase after phase, each on what the one before has made.

    progressive = Progressive(PhasedConfig.of("configs/korean_medical.py"))
    report = progressive.train()                  # again: goes on, or there is nothing to do
    report.print()

A phase is an ordinary run in a directory of its own, `phases/1-korean`, which is resumed as any
other; when it is over its adapter is saved by itself, the model is scored on all tasks, and the
ledger has one entry more. What a kill leaves half done is done again, with the same result. The
joint training, where there is to be one, comes behind the last phase, and is scored likewise.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax

from jaxtrain import lora
from jaxtrain.config import dump
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError
from jaxtrain.files import make_directory, replacing
from jaxtrain.files.lock import lock
from jaxtrain.files.paths import typed_directory
from jaxtrain.lora import Adapter
from jaxtrain.models.causal_lm import max_length_of
from jaxtrain.phases.joint import JOINT
from jaxtrain.phases.joint_run import joint_config
from jaxtrain.phases.layout import Layout, directory_for
from jaxtrain.phases.ledger import Entry, Ledger, digest_of, options_of
from jaxtrain.phases.phased_config import PhasedConfig
from jaxtrain.phases.replay import BASE
from jaxtrain.phases.same_phases import refuse_changes, refuse_others
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
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.reporting import REPORT, make_page
from jaxtrain.run.resuming import Resume


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
            typed_directory(str(named), what="workdir")
            if named is not None
            else directory_for(config)
        )
        self.layout = Layout(config, self.directory)

    def run_directory(self, name: str) -> Path:
        """Of a phase, of the base or of the joint training."""
        return self.layout.run(name)

    def ledger(self) -> Ledger:
        """What is over."""
        return self.layout.ledger()

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
            told: called with the name of each run (of the base, the phases, the joint training)
                and its experiment before it is trained; with None where it is over already.

        Returns:
            The retention report.

        Raises:
            Preempted: stopped by a signal; everything is saved.
            ConfigError: the directory holds something else, or another process has it; or a phase
                that is over was another; or rows that are to be put together can't be.
            DataError: the ledger, or a file of scores, is broken.
        """
        choose_device(self._first().device)
        refuse_others(self.layout, resume)
        if self.config.joint is not None and not self.layout.scores(JOINT).exists():
            joint_config(self.config)  # before hours are spent on the phases
        with self._held() as ledger:
            if not self.layout.scores(0).exists():
                if self.config.base is not None:
                    self._run(BASE, guard, told)
                self._score_base()
            elif self.config.base is not None:
                told(BASE, None)
            for number, name in enumerate(self.config.names, start=1):
                if number <= len(ledger.entries):
                    told(name, None)
                    continue
                if ledger.entries:  # before hours are spent on it
                    ledger.refuse_another_base(name, digest_of(self._before(number)))
                self._run(name, guard, told)
                ledger = self._close(number, name, ledger)
            if self.config.joint is not None:
                self._train_at_once(guard, told)
            return self._report()

    # -- a phase -------------------------------------------------------------------------------

    def _run(
        self,
        name: str,
        guard: Callable[[Engine], AbstractContextManager[Any]],
        told: Callable[[str, Experiment | None], None],
    ) -> None:
        directory = self.layout.run(name)
        with self.config.told(name):
            task = Task.of(RunData.of(self.layout.config_of(name)))
            experiment = Experiment(task, directory)
        told(name, experiment)
        experiment.train(guard=guard)

    def _close(self, number: int, name: str, ledger: Ledger) -> Ledger:
        """Save the adapter, score all tasks, and write the phase into the ledger, in this order."""
        directory = self.layout.run(name)
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
        ledger.write(self.layout.ledger_file)
        return ledger

    def _before(self, number: int) -> Any:
        """The parameters that phase `number` began with."""
        if number == 1:
            return self._first_base()[1]["params"]
        return Trained.load(self.layout.run(self.config.names[number - 2])).merged()

    def _train_at_once(
        self,
        guard: Callable[[Engine], AbstractContextManager[Any]],
        told: Callable[[str, Experiment | None], None],
    ) -> None:
        """All tasks from what the first phase began with; nothing is merged, its scores are all."""
        path = self.layout.scores(JOINT)
        if path.exists():
            told(JOINT, None)
            return
        self._run(JOINT, guard, told)
        trained = Trained.load(self.layout.run(JOINT))
        save_row(path, self._scored(trained.model, trained.state.variables()))

    # -- scores --------------------------------------------------------------------------------

    def _score_base(self) -> None:
        """Row 0: what the model could do before the first phase."""
        save_row(self.layout.scores(0), self._scored(*self._first_base()))

    def _first_base(self) -> tuple[Any, Mapping[str, Any]]:
        """The model before the first phase, and its variables."""
        if self.config.base is not None:
            trained = Trained.load(self.layout.run(BASE))
            return trained.model, trained.state.variables()
        config = self._first().model_copy(update={"lora": None})
        task = Task.of(RunData.of(config))
        return task.model, task.initial_state().variables()

    def _score(self, number: int, trained: Trained, merged: Any) -> None:
        """Row `number`, with the adapter attached; and beside it, merged into the parameters."""
        path = self.layout.scores(number)
        if not path.exists():
            save_row(path, self._scored(trained.model, trained.state.variables()))
        beside = self.layout.scores(number, merged=True)
        if not beside.exists():
            learnt = trained.learnt
            model = base_model(trained.config, learnt.num_outputs, learnt.batch())
            variables = {**trained.state.model_state, "params": merged}
            save_row(beside, self._scored(model, variables))

    def _scored(self, model: Any, variables: Mapping[str, Any]) -> dict[str, TaskScores]:
        row = {}
        for name, (config, splits) in self._tasks():
            rows = splits.sets["test"]
            row[name] = score(
                model,
                variables,
                rows,
                reader=splits.reader,
                config=config,
                max_length=max_length_of(config.model, rows.num_outputs),
            )
        return row

    def _tasks(self) -> Iterator[tuple[str, tuple[Any, Any]]]:
        for name in (*self.config.names, *self.config.untrained):
            config = self.config.task_of(name)
            splits = read_splits(config)
            if "test" not in splits.sets:
                raise ConfigError(f"task {name}: its data have no test rows, on which it is scored")
            yield name, (config, splits)

    def matrix(self) -> RetentionMatrix:
        """The scores so far.

        Raises:
            DataError: a file of scores is broken.
        """
        matrix = RetentionMatrix(
            tasks=self.config.names, untrained=tuple(self.config.untrained), phases=None
        )
        for number in range(len(self.config.names) + 1):
            if not self.layout.scores(number).exists():
                break
            matrix = matrix.with_row(number, load_row(self.layout.scores(number)))
        return matrix

    def _report(self) -> RetentionReport:
        last = len(self.config.names)
        baselines: dict[str, Baseline] = {}
        for name, (config, splits) in self._tasks():
            found = baseline(splits.sets["test"], config)
            if found is not None:
                baselines[name] = found
        report = RetentionReport.of(
            self.matrix(),
            baselines=baselines,
            merged=load_row(self.layout.scores(last, merged=True)),
            joint=None if self.config.joint is None else load_row(self.layout.scores(JOINT)),
            control=next(iter(self.config.untrained), None),
        )
        said, file = json.dumps(report.to_json(), indent=1) + "\n", self.layout.report
        if not file.exists() or file.read_bytes() != said.encode():
            with replacing(file) as temporary:
                temporary.write_text(said, encoding="utf-8")
        draw_retention(report, self.layout.picture)
        for name in self.config.names:  # their pages show the matrix, which was not there yet
            page = self.layout.run(name) / REPORT
            if not page.exists() or page.stat().st_mtime_ns < file.stat().st_mtime_ns:
                make_page(RunDirectory(page.parent))
        return report

    # -- the directory -------------------------------------------------------------------------

    def _first(self) -> Any:
        return self.config.config_of(BASE if self.config.base else self.config.names[0])

    @contextlib.contextmanager
    def _held(self) -> Iterator[Ledger]:
        make_directory(self.directory)
        with lock(self.directory) as introduce:
            refuse_others(self.layout, "auto")
            ledger = self.ledger()
            refuse_changes(self.layout, ledger)
            introduce()
            dump(self.config.tree, self.layout.written)
            make_directory(self.directory / "scores")
            yield ledger


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
