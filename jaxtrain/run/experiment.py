"""From a config to a finished run: train or continue, report, evaluate.

    config = make_config("configs/digits.py", ["train.epochs=5"])
    experiment = Experiment(config)
    experiment.trainer.on(Events.EPOCH_COMPLETED)(lambda engine: print(engine.state.metrics))
    figures = experiment.train()
    figures["test_accuracy"]

`python -m jaxtrain.main` does nothing more than this.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

from jaxtrain.checkpoint import CheckpointStore, Saved, environment
from jaxtrain.config import to_dict
from jaxtrain.engine import Engine, Interrupted
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    Preempted,
    did_you_mean,
)
from jaxtrain.hooks import EPOCH_METRICS, HOOKS, Checkpoint, NaNGuard, run_unless_stopping
from jaxtrain.hooks import resume as resume_from
from jaxtrain.metrics import Direction, better
from jaxtrain.report import LearningCurves, write_summary
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.parts import REGISTRIES, Parts, make_config

__all__ = ["REGISTRIES", "Experiment", "make_config"]

logger = logging.getLogger(__name__)

Resume = Literal["auto", "must", "never"]


class Experiment(Parts):
    """The parts of a run, and the run: `train`, and `evaluate`.

    Args:
        config: a checked config.
        abstract: with a state of shapes alone; for a plan, which computes nothing.

    Raises:
        ConfigError: data that is missing, a device that is not there, parts that don't fit.
        DataError: data that is broken.
    """

    @property
    def direction(self) -> Direction:
        """Which way the checkpoints' monitor gets better."""
        return better(self.config.checkpoint.monitor, self.config.checkpoint.mode)

    def attach(self, directory: RunDirectory) -> CheckpointStore:
        """Attach the config's hooks, curves and checkpoints; they write into `directory`.

        Nothing is written before the trainer runs.

        Returns:
            The store that checkpoints go to; whoever runs the trainer closes it.
        """
        config = self.config
        if "checkpoint" in self.trainer.hooks:
            raise ConfigError("this experiment was trained already; make another Experiment")
        store = CheckpointStore(
            directory.checkpoints,
            keep=config.checkpoint.keep,
            monitor=config.checkpoint.monitor,
            mode=self.direction,
            asynchronous=config.checkpoint.asynchronous,
        )
        for name, section in config.hooks.items():
            self.trainer.attach(HOOKS.build(section, directory=directory.path), name)
        curves = LearningCurves(
            directory.path,
            self.history.epochs,
            title=config.project,
            monitor=config.checkpoint.monitor,
            mode=self.direction,
        )
        self.trainer.attach(curves, "curves")
        hook = Checkpoint(
            store,
            self.loader,
            every_epochs=config.checkpoint.every_epochs,
            every=config.checkpoint.every,
            describe={
                "config": to_dict(config),
                "environment": environment.current(),
                "data": self._fingerprints(),
            },
        )
        self.trainer.attach(hook, "checkpoint")
        return store

    # -- runs ----------------------------------------------------------------------------------

    def train(
        self,
        *,
        resume: Resume = "auto",
        guard: Callable[[Engine], AbstractContextManager[Any]] = nullcontext,
    ) -> dict[str, Any]:
        """Train, or continue what is in the run directory, and write its report.

        Args:
            resume: "auto" continues a run that is there and begins one where there is none;
                "must" wants one to be there, "never" wants none.
            guard: a context to run in, given the trainer, such as `stop_on_signals`.

        Returns:
            The fields of metrics.json. Test figures are those of the best checkpoint.

        Raises:
            Preempted: stopped by a signal; everything is saved.
            ConfigError: the directory holds another run, or another process has it.
            CheckpointError: a save failed, or no checkpoint can be read.
            NonFiniteError: NaN or Inf in the loss or gradient.
        """
        directory = RunDirectory.of(self.config)
        _check_resume(directory, resume)
        store = self.attach(directory)
        try:
            self._check_monitors()
            # From here to the end a signal is heeded, and no other process may write here.
            with guard(self.trainer), directory.held(self.config):
                return self._train(store, directory, resume)
        finally:
            store.close()

    def evaluate(self, checkpoint: Saved | Path | None = None) -> dict[str, dict[str, float]]:
        """Metrics of every data set that the config has.

        Args:
            checkpoint: a checkpoint's directory; None evaluates the trainer's present state.

        Returns:
            By data set ("train", "validation", "test"), the metrics by name.

        Raises:
            CheckpointError: it can't be read, or fails its digests.
            CheckpointMismatchError: it belongs to another model.
        """
        state = self._state
        if checkpoint is not None:
            path = checkpoint.path if isinstance(checkpoint, Saved) else checkpoint
            state, _ = CheckpointStore(path.parent).load(path, state, part="train_state")
        sets = {
            "train": self.splits.train,
            "validation": self.splits.validation,
            "test": self.splits.test,
        }
        return {
            name: dict(self.evaluator.run(self.eval_loader(dataset), state=state).metrics)
            for name, dataset in sets.items()
            if dataset is not None
        }

    # -- inside train --------------------------------------------------------------------------

    def _train(
        self, store: CheckpointStore, directory: RunDirectory, resume: Resume
    ) -> dict[str, Any]:
        try:
            self._resume(store, directory, resume)
            if self._is_finished() and (directory / "metrics.json").exists():
                logger.info("%s: the run is finished already; nothing to do", directory.path)
                figures: dict[str, Any] = json.loads((directory / "metrics.json").read_text())
                return figures
            self._note(directory, "running")
            self.trainer.run(self.loader, max_epochs=self.config.train.epochs)
            # However the run came to its end: nothing was saved since such a step.
            NaNGuard().look(self.trainer)
            store.wait()
            if self.trainer.state.stopped == "interrupt":
                raise self._preempted(directory)
            figures = self._report(store, directory)
            self._note(directory, "completed")
        except BaseException as error:
            status = "interrupted" if isinstance(error, Preempted) else f"failed: {error}"
            with suppress(OSError):  # a full disk, say: `error` tells of it already
                self._note(directory, status)
            raise
        return figures

    def _preempted(self, directory: RunDirectory) -> Preempted:
        return Preempted(
            f"stopped after iteration {self.trainer.state.iteration}, saved in {directory.path}; "
            "run the same command again to go on"
        )

    def _is_finished(self) -> bool:
        """Whether what was resumed has nothing left to do."""
        state = self.trainer.state
        done = state.epoch >= self.config.train.epochs and not state.epoch_open
        return done or state.stopped == "terminate"

    def _resume(self, store: CheckpointStore, directory: RunDirectory, resume: Resume) -> None:
        saved = store.latest()
        if saved is None:
            if resume == "must" or (directory / "metrics.json").exists():
                raise CheckpointError(
                    f"{store.directory}: the run in {directory.path} has no checkpoint any more; "
                    "not starting over from step 0. Choose another --workdir to begin anew"
                )
            if (directory / "metadata.json").exists():  # it was begun before
                logger.warning(
                    "%s holds no checkpoint: beginning from iteration 0", store.directory
                )
            return
        self._refuse_other_data(saved)
        changed = environment.changes(saved.meta.get("environment", {}))
        if changed:
            logger.warning(
                "resuming under other conditions than those of %s; the continuation is not "
                "bit-exact:\n  %s",
                saved.path,
                "\n  ".join(changed),
            )
        resume_from(self.trainer, self.loader, saved, store)
        logger.info("continuing after iteration %d, from %s", saved.iteration, saved.path)

    def _fingerprints(self) -> dict[str, str]:
        """Which data the run is about: what it is judged by counts as much as what it learns."""
        sets = {"validation": self.splits.validation, "test": self.splits.test}
        return {"train": self.loader.fingerprint()} | {
            name: dataset.fingerprint() for name, dataset in sets.items() if dataset is not None
        }

    def _refuse_other_data(self, saved: Saved) -> None:
        before, now = saved.meta.get("data", {}), self._fingerprints()
        other = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
        if other:
            raise CheckpointMismatchError(
                f"the {' and '.join(other)} data are not those that the run was begun with\n"
                + "\n".join(
                    f"  {n}: saved: {before.get(n)}\n  {n}: now: {now.get(n)}" for n in other
                )
                + "\nrestore the data and options, or start a new run with another --workdir"
            )

    def _report(self, store: CheckpointStore, directory: RunDirectory) -> dict[str, Any]:
        best = store.best()
        if best is None:
            raise CheckpointError(f"{store.directory}: the run is over, but nothing was saved")
        state, _ = store.load(best, self._state, part="train_state")
        loader = self.eval_loader(self.splits.test)
        try:
            test = run_unless_stopping(self.trainer, self.evaluator, loader, state).metrics
        except Interrupted:
            raise self._preempted(directory) from None
        return write_summary(
            directory / "metrics.json",
            self.history.epochs,
            training_time_seconds=self.history.seconds,
            monitor=self.config.checkpoint.monitor,
            mode=self.direction,
            parameters=self.parameter_count(),
            test=test,
            checkpoint_epoch=best.meta["epoch"],
        )

    def _note(self, directory: RunDirectory, status: str) -> None:
        directory.write_metadata(self.config, status, data=self._fingerprints())

    def _check_monitors(self) -> None:
        """A monitor nobody provides would be found out after an epoch; find it now."""
        known = {*self.trainer.metric_names, *self.trainer.provided} - {EPOCH_METRICS, "history"}
        wanted = {"checkpoint": self.config.checkpoint.monitor}
        wanted |= {
            f"hooks.{name}": section.monitor
            for name, section in self.config.hooks.items()
            if hasattr(section, "monitor")
        }
        for key, name in wanted.items():
            if name not in known:
                raise ConfigError(
                    f"{key}.monitor: no metric is called {name!r}{did_you_mean(name, known)} "
                    f"(this run has: {', '.join(sorted(known))})"
                )


def _check_resume(directory: RunDirectory, resume: Resume) -> None:
    there = directory.holds_a_run()
    if resume == "must" and not there:
        raise ConfigError(f"--resume must: {directory.path} holds no run to continue")
    if resume == "never" and there:
        raise ConfigError(f"--resume never: {directory.path} holds a run; choose another --workdir")
