"""Experiment: a task, trained in a run directory: train, go on, report, evaluate.

    experiment = Experiment.of(make_config("configs/digits.py", ["train.epochs=5"]))
    experiment.trainer.on(Events.EPOCH_COMPLETED)(lambda engine: print(engine.state.metrics))
    figures = experiment.train()                       # again: goes on, or there is nothing to do
    figures["test_accuracy"]

The last of three stages. With the other two in one's own hands:

    task = Task.of(RunData.of(config))
    first, second = Experiment(task, "runs/a"), Experiment(task, "runs/b")
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from jaxtrain.checkpoint import RunMeta, Saved
from jaxtrain.config import ExperimentConfig, imported_digests
from jaxtrain.data import prefetch_to_device
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError, ConfigError, DataError, Interrupted, Preempted
from jaxtrain.hooks import History, NaNGuard, run_unless_stopping
from jaxtrain.hooks import resume as resume_from
from jaxtrain.parallel import start
from jaxtrain.report import read_summary, summarize, write_summary
from jaxtrain.run.data import RunData
from jaxtrain.run.device import choose_device
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.monitors import refuse_unknown_monitors
from jaxtrain.run.reporting import draw_matrix, is_told, make_page
from jaxtrain.run.resuming import (
    Resume,
    Standing,
    look,
    refuse_other_data,
    refuse_other_plugins,
    refuse_unwanted,
    warn_of_other_conditions,
    warn_of_other_weights,
)
from jaxtrain.run.task import Task
from jaxtrain.run.testing import MISTAKES, log_mistakes, make_tester
from jaxtrain.run.wiring import direction, make_hooks, make_store
from jaxtrain.step import TrainState
from jaxtrain.tracking import Run, ending, recording
from jaxtrain.tracking.mlflow import tracking_uri, uploading

logger = logging.getLogger(__name__)


class Experiment:
    """The engines and hooks of a run, attached and ready. Nothing is written before `train`.

    Args:
        task: what to train.
        directory: where; by default the config's `workdir`, or one named after the config.
        state: the TrainState to begin with; by default the task's initial one. Where the model
            loads that from files, the trainer holds its shapes until `train` or `evaluate` needs
            it: a run that goes on reads none. One of shapes alone (`task.abstract_state()`) is
            enough for a plan, or to evaluate a checkpoint.

    Attributes:
        task: the stage before.
        directory: the run directory.
        loader: what the trainer reads.
        trainer: the training engine; attach your own handlers to it.
        evaluator: the evaluating engine.
        history: one row of metrics an epoch.
        store: where checkpoints go.
        record: what is logged besides the figures; `tracking.log_image` and its like write there
            while `train` runs.

    Raises:
        ConfigError: a hook of the config can't be made, or `tracking.mode` is "online" and no
            server is named.
    """

    def __init__(
        self,
        task: Task,
        directory: RunDirectory | str | Path | None = None,
        *,
        state: TrainState | None = None,
    ) -> None:
        if not isinstance(task, Task):
            raise TypeError(
                f"Experiment: expected a Task, found a {type(task).__name__}; from a config it is "
                "made by Experiment.of(make_config(...))"
            )
        config = task.config
        self.task = task
        if directory is None:
            directory = RunDirectory.of(config)
        elif not isinstance(directory, RunDirectory):
            directory = RunDirectory(directory)
        self.directory = directory
        form = None if config.train.form == "auto" else config.train.form
        self.loader = task.loader
        if form == "single":  # the fused form keeps the data on the device, or stacks it ahead
            self.loader = prefetch_to_device(self.loader, config.data.prefetch)
        self._given_state = state
        self._has_run = False
        self._weights: dict[str, str] = {}
        # Files are read when it is known that the run begins, and that nothing else is wrong.
        self._unread = state is None and task.parameters.reads_files

        first = task.abstract_state() if self._unread else self._first_state()
        self.trainer = Engine(task.train_step, first, form=form)
        in_training, metrics = task.train_metrics(), task.metrics()
        self.trainer.add_metrics({f"train/{name}": m for name, m in in_training.items()})
        self.evaluator = Engine(task.eval_step, first, form=form)
        self.evaluator.add_metrics(metrics)
        on_host = ", ".join(f"metrics.{name}" for name in metrics.keys() - in_training.keys())
        if on_host:
            logger.info("%s: updated on the host, and so computed in evaluations alone", on_host)
        self.history = History()
        self.store = make_store(config, directory)
        recorded = config.tracking.mode != "disabled" and directory.writes
        self.record = Run(directory.path, writes=recorded)
        if config.tracking.mode == "online":
            tracking_uri(config.tracking.uri)  # refused before an hour is spent on it
        hooks = make_hooks(
            task,
            directory,
            evaluator=self.evaluator,
            loader=self.loader,
            history=self.history,
            store=self.store,
            record=self.record,
        )
        for name, hook in hooks.items():
            self.trainer.attach(hook, name)
        begins = Events.STARTED | Events.RESUMED
        refuse = partial(_refuse_a_run_by_hand, directory)
        self.trainer.attach_handler(begins, refuse, priority=float("inf"))

    @classmethod
    def of(
        cls, config: ExperimentConfig, directory: RunDirectory | str | Path | None = None
    ) -> Experiment:
        """All three stages in one, on the device that the config asks for.

        Where this process is one of several (`config.distributed`, or a scheduler's variables), it
        finds the others first; `jaxtrain.parallel.finish()` at the end lets go of them.

        Raises:
            ConfigError: data that is missing, a device that is not there, parts that don't fit.
            DataError: data that is broken.
        """
        if not isinstance(config, ExperimentConfig):
            raise TypeError(
                f"Experiment.of: expected a checked config, found a {type(config).__name__}; "
                "make_config(...) reads and checks a file or a tree"
            )
        start(config.distributed)
        choose_device(config.device)
        return cls(Task.of(RunData.of(config)), directory)

    @property
    def config(self) -> ExperimentConfig:
        """The config of the task."""
        return self.task.config

    @cached_property
    def tester(self) -> Engine:
        """The engine that evaluates the best checkpoint on the test set when the run is over."""
        return make_tester(self.task, self.task.abstract_state())

    # -- runs ----------------------------------------------------------------------------------

    def train(
        self,
        *,
        resume: Resume = "auto",
        guard: Callable[[Engine], AbstractContextManager[Any]] = nullcontext,
        allow_changed_plugins: bool = False,
    ) -> dict[str, Any]:
        """Train, or go on with what is in the run directory, and write its report.

        Called again it goes on: after a stop where the trainer stands, after an exception from the
        last checkpoint, as the same call in another process would. At the end it does nothing.

        Args:
            resume: "auto" continues a run that is there and begins one where there is none;
                "must" wants one to be there, "never" wants none.
            guard: a context to run in, given the trainer, such as one that heeds signals.
            allow_changed_plugins: go on with plugins that were edited since the last checkpoint,
                with a warning.

        Returns:
            The fields of metrics.json. Test figures are those of the best checkpoint.

        Raises:
            Preempted: stopped by a signal; everything is saved.
            ConfigError: the directory holds another run, or another process has it.
            CheckpointMismatchError: the checkpoint is of other data, plugins or another model.
                Of this and ConfigError comes nothing: no file in the directory is another then.
            CheckpointError: a save failed, or no checkpoint can be read; or the directory was
                deleted or renamed meanwhile.
            NonFiniteError: NaN or Inf in the loss or gradient.
        """
        refuse_unwanted(self.directory, resume)
        refuse_unknown_monitors(self.config, self.trainer, self.task.metrics())
        if self._unread and not self.directory.path.exists():
            self._begin()  # nobody can have it; without the files it is not even made
        look = partial(self._look, resume, allow_changed_plugins)
        # From here to the end a signal is heeded, and no other process may write here.
        with guard(self.trainer), self.directory.held(self.config, look) as standing:
            for finding in self.task.data.remarks:
                logger.warning("%s: %s", finding.name, finding.detail)
            with self._sending():
                try:
                    with recording(self.record):
                        return self._train(standing)
                except BaseException as error:
                    # A full disk, or a directory that is gone: `error` tells of it already.
                    with suppress(OSError, CheckpointError):
                        self._note(ending(error))
                    self._finish_writing()
                    raise

    def evaluate(self, checkpoint: Saved | Path | None = None) -> dict[str, dict[str, float]]:
        """Metrics of every data set that the run has.

        Args:
            checkpoint: a checkpoint's directory; None evaluates the trainer's present state.

        Returns:
            By data set ("train", "validation", "test"), the metrics by name.

        Raises:
            CheckpointError: it can't be read, or fails its digests.
            CheckpointMismatchError: it belongs to another model.
        """
        if checkpoint is None:
            if self._unread:
                self._begin()
            state = self.trainer.state.train_state
        else:
            path = checkpoint.path if isinstance(checkpoint, Saved) else checkpoint
            state = self._load(path)
        figures = {}
        for name in self.task.data.sets:
            self.evaluator.reset()
            loader = self.task.eval_loader(name)
            figures[name] = dict(self.evaluator.run(loader, state=state).metrics)
        return figures

    # -- inside train --------------------------------------------------------------------------

    def _first_state(self) -> TrainState:
        return self.task.initial_state() if self._given_state is None else self._given_state

    def _sending(self) -> AbstractContextManager[Any]:
        """What is written goes to a server meanwhile, where the config wants that."""
        section = self.config.tracking
        if section.mode != "online" or not self.directory.writes:
            return nullcontext()
        return uploading(self.directory.path, section.uri)

    def _look(self, resume: Resume, allow_changed_plugins: bool) -> Standing:
        """Where the run in the directory stands, if it is this one; under the lock.

        What begins reads its files here, before a byte is written: they may be missing, or wrong.
        """
        refuse_unwanted(self.directory, resume)  # another process may have come in between
        standing = look(
            self.directory,
            self.store,
            self.trainer,
            resume=resume,
            epochs=self.config.train.epochs,
            loader=self.task.data.loader,
        )
        if standing.said is not None:
            refuse_other_data(standing.said.data, self.task.data.fingerprints())
            refuse_other_plugins(
                standing.said.plugins,
                imported_digests(self.config.plugins),
                allowed=allow_changed_plugins,
            )
        begins = standing.saved is None and not self._is_further(standing)
        if begins and (self._unread or self._has_run):
            self._begin()
        return standing

    def _is_further(self, standing: Standing) -> bool:
        """Whether the trainer itself stands where the run does, or further."""
        now = self.trainer.state
        reached = 0 if standing.saved is None else standing.saved.iteration
        return self._has_run and now.stopped != "failed" and now.iteration >= reached

    def _train(self, standing: Standing) -> dict[str, Any]:
        stands = self._take_up(standing)
        if self._is_finished() and (figures := self._read_report()) is not None:
            logger.info("%s: the run is finished already; nothing to do", self.directory.path)
            if not is_told(self.directory, self.config):
                self._complete()
            return figures
        self._note("running")
        if not (stands and self._is_finished()):
            self._has_run = True
            self.trainer.run(self.loader, max_epochs=self.config.train.epochs)
        # However the run came to its end: nothing was saved since such a step.
        NaNGuard().look(self.trainer)
        self.store.wait()
        if self.trainer.state.stopped == "interrupt":
            raise self._preempted()
        figures = self._report()
        self._complete()
        return figures

    def _is_finished(self) -> bool:
        """Whether the trainer has nothing left to do: all epochs done, or terminated."""
        state = self.trainer.state
        done = state.epoch >= self.config.train.epochs and not state.epoch_open
        return done or state.stopped == "terminate"

    def _read_report(self) -> dict[str, Any] | None:
        """The report of a run that is finished; None where it is to be made."""
        path = self.directory / "metrics.json"
        if not path.exists():
            return None
        try:
            figures = read_summary(path)
        except DataError as error:
            logger.warning("%s; it is written anew, from the checkpoints", error)
            return None
        # A run that was made longer, and stopped in its report, still has that of its shorter self.
        return figures if figures["total_epochs"] == len(self.history.epochs) else None

    def _take_up(self, standing: Standing) -> bool:
        """Put the trainer where the run stands; True where it stands there, or further, itself."""
        saved = standing.saved
        self.store.set_aside(standing.faults)
        if self._is_further(standing):
            return True
        if saved is None:
            if (self.directory / "metadata.json").exists():  # it was begun before
                logger.warning(
                    "%s holds no checkpoint: beginning from iteration 0", self.store.directory
                )
            if self._has_run:
                self.trainer.reset()
            self._note_weights(self._weights)
            return False
        warn_of_other_conditions(standing)
        warn_of_other_weights(standing, self.task.parameters.digests)
        resume_from(self.trainer, saved, self.store)
        self._unread = False
        self._note_weights(standing.said.weights if standing.said else {})
        logger.info("continuing after iteration %d, from %s", saved.iteration, saved.path)
        return False

    def _begin(self) -> None:
        """Give the trainer the state to begin with; what is told of its files is what was read."""
        self.trainer.state.train_state = self._first_state()
        if self._given_state is None and self.task.parameters.digests is not None:
            self._weights = dict(self.task.parameters.digests())
        self._unread = False

    def _note_weights(self, digests: Mapping[str, str]) -> None:
        """With which files the run began: said in metadata.json, and by each of its checkpoints."""
        self._weights = dict(digests)
        if self._weights:
            self.trainer.hooks["checkpoint"].describe(weights=self._weights)

    def _preempted(self) -> Preempted:
        return Preempted(
            f"stopped after iteration {self.trainer.state.iteration}, saved in "
            f"{self.directory.path}; run it again to go on"
        )

    def _load(self, checkpoint: Saved | Path) -> TrainState:
        template = self.task.abstract_state()
        state: TrainState
        state, _ = self.store.load(checkpoint, template, part="train_state")
        return state

    def _report(self) -> dict[str, Any]:
        best = self.store.best()
        if best is None:
            raise CheckpointError(f"{self.store.directory}: the run is over, but nothing was saved")
        loader = self.task.eval_loader("test")
        try:
            state = self._load(best)
            test = dict(run_unless_stopping(self.trainer, self.tester, loader, state).metrics)
        except Interrupted:
            raise self._preempted() from None
        rows, step = self.task.data.sets["test"], self.trainer.state.iteration
        log_mistakes(self.record, rows, test.pop(MISTAKES, None), step=step)
        options: dict[str, Any] = {
            "training_time_seconds": self.history.seconds,
            "monitor": self.config.checkpoint.monitor,
            "mode": direction(self.config),
            "parameters": self.task.parameter_count(),
            "test": test,
            "checkpoint_epoch": RunMeta.of(best).epoch,
        }
        if not self.directory.writes:
            return summarize(self.history.epochs, **options)
        draw_matrix(self.directory, test, rows)
        return write_summary(self.directory / "metrics.json", self.history.epochs, **options)

    def _complete(self) -> None:
        self._note("completed")
        if self.directory.writes:
            make_page(self.directory)

    def _note(self, status: str) -> None:
        self.directory.write_metadata(
            self.config,
            status,
            data=self.task.data.fingerprints(),
            model_facts=self.task.facts(),
            label_names=list(getattr(self.task.data.train, "label_names", ())),
            **({"weights": self._weights} if self._weights else {}),
        )

    def _finish_writing(self) -> None:
        """No save may be under way when another process can have the directory."""
        try:
            self.store.wait()
        except CheckpointError as second:  # the error that ended the run is the one to raise
            logger.error("%s", second)


def _refuse_a_run_by_hand(directory: RunDirectory) -> None:
    """Two processes could write at once: only `train` holds the directory."""
    if not directory.is_held:
        raise ConfigError(
            f"this trainer writes into {directory.path}: call train(), or for a run by hand make "
            "an engine of your own, Engine(task.train_step, task.initial_state())"
        )
