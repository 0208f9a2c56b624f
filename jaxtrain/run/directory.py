"""The directory of a run: what belongs to it, and whether a config may continue it.

    directory = RunDirectory.of(config)          # runs/<project>/<run id>, or config.workdir
    directory.refuse_others(config)              # touches nothing
    with directory.held(config):                 # made, or found to hold the same run; locked
        directory / "metrics.json"

A run id is made of the seed and a digest of everything that decides the run's figures. So the same
command finds its own directory again and continues, and another command gets another.

What a run is its checkpoints say, each of which holds the whole config. `config.yaml` says it for
people: where it can't be read, the checkpoints do, and it is written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxtrain import tracking
from jaxtrain.checkpoint import vouched
from jaxtrain.config import ExperimentConfig, dump, imported_digests, non_defaults, to_dict
from jaxtrain.errors import ConfigError
from jaxtrain.files import inside, make_directory, refuse_gone, refuse_links, unfinished
from jaxtrain.files.anchor import anchored
from jaxtrain.files.lock import NAME as LOCK
from jaxtrain.files.lock import lock
from jaxtrain.files.paths import typed_directory
from jaxtrain.hooks import CSV, JSONL
from jaxtrain.parallel import agreed, is_first
from jaxtrain.report import LearningCurves
from jaxtrain.run.deciding import decides
from jaxtrain.run.same_run import refuse_another_run, tell_of_lost_record

# What a run writes by `replacing`: what a kill may leave half of.
_REPLACED = (
    "config.yaml",
    "confusion_matrix.png",
    "media.jsonl",
    "metadata.json",
    "metrics.json",
    JSONL.FILE_NAME,
    CSV.FILE_NAME,
    LearningCurves.FILE_NAME,
)


class RunDirectory:
    """A run's directory.

    Args:
        path: need not exist yet. Somebody's `chdir` does not move it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._held = False
        self._introduce: Callable[[], None] | None = None

    @classmethod
    def of(cls, config: ExperimentConfig) -> RunDirectory:
        """`config.workdir`, or `runs/<project>/<run id>` below the current directory.

        Raises:
            ConfigError: there can be no directory of that name.
        """
        if config.workdir is not None:
            return cls(typed_directory(config.workdir, what="workdir"))
        return cls(inside(Path("runs"), config.project, run_id(config)))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    @property
    def is_held(self) -> bool:
        """Whether this very object is inside of `held`, so that its user may write."""
        return self._held

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes what only one can: the first, or the only."""
        return is_first()

    def holds_a_run(self) -> bool:
        """Whether a run was begun here."""
        return (self / "config.yaml").exists() or bool(vouched(self.checkpoints))

    @contextlib.contextmanager
    def held(
        self, config: ExperimentConfig, look: Callable[[], Any] = lambda: None
    ) -> Iterator[Any]:
        """Make the directory and write `config.yaml`, or check that the run in it is this one.

        For as long as the context lasts, no other process can have it: of several processes of one
        run the first holds it for all, and what one of them refuses all do.

        Args:
            config: of the run.
            look: called under the lock before anything is written; it may refuse, too. The context
                gives what it returns.

        Raises:
            ConfigError: the directory holds something else, or another run, each difference that
                matters listed; or another process has it. Nothing was changed then.
        """
        with contextlib.ExitStack() as stack:

            def begin() -> None:
                self.refuse_others(config)
                if self.writes:
                    stack.enter_context(self.locked())
                    self.refuse_others(config)  # somebody may have come in between

            agreed("directory/held", begin)
            if not self.writes:
                stack.enter_context(self._borrowed())
            found = agreed("directory/looked at", look)
            agreed("directory/claimed", lambda: self.claim(config) if self.writes else None)
            yield found

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[None]:
        """What another process of the run holds."""
        with anchored(self.path):
            self._held = True
            try:
                yield
            finally:
                self._held = False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out. But for the directory itself, where there is none, and the lock
        file in it, nothing is made or changed before `claim`.

        Raises:
            ConfigError: another process has the directory.
        """
        make_directory(self.path)
        with lock(self.path) as introduce:
            self._introduce = introduce
            try:
                yield
            finally:
                self._held, self._introduce = False, None

    def claim(self, config: ExperimentConfig) -> None:
        """In `locked`: nothing was refused, the run is going to write here. `config.yaml` is first.

        Raises:
            OSError: the disk is full, say.
        """
        assert self._introduce is not None, "claim is for inside of `locked`"
        self._introduce()
        for left in unfinished(self.path, *_REPLACED):  # by a kill; nobody else writes here now
            left.unlink()
        if self.holds_a_run():
            tell_of_lost_record(self / "config.yaml", config)
        dump(config, self / "config.yaml")
        self._held = True

    def refuse_others(self, config: ExperimentConfig) -> None:
        """See that the directory is one that a run of `config` may begin or go on in.

        Nothing is touched. Arrays and digests are not looked at; the checkpoint that the run goes
        on from is, before it is used.

        Raises:
            ConfigError: it holds other things, or another run.
            CheckpointMismatchError: a checkpoint in it is of another run.
        """
        if not os.path.lexists(self.path):
            return
        if not self.path.is_dir():
            raise ConfigError(f"{self.path}: expected a directory, found something else")
        if (self / "sweep.json").is_file():
            raise ConfigError(
                f"{self.path}: holds a sweep; go on with it by `sweep {self.path}`, or choose "
                "another workdir"
            )
        saved = vouched(self.checkpoints)
        if saved or (self / "config.yaml").exists():
            refuse_links(self.path)
            refuse_another_run(self / "config.yaml", saved, config)
            return
        own = {self / LOCK, *unfinished(self.path, *_REPLACED)}
        if strange := sorted(path.name for path in self.path.iterdir() if path not in own):
            raise ConfigError(
                f"{self.path}: expected an empty directory or a run's, found other files "
                f"({strange[0]}{', …' if len(strange) > 1 else ''}); choose another workdir"
            )

    def refuse_gone(self) -> None:
        """See that the directory is still there, and the one that was locked.

        Raises:
            CheckpointError: somebody deleted, renamed or replaced it.
        """
        refuse_gone(self.path)

    def write_metadata(self, config: ExperimentConfig, status: str, **more: Any) -> None:
        """Write `metadata.json`: who, where, with which versions, and how it ended.

        Of several processes the first does.

        Args:
            config: the effective config.
            status: "running", "completed", "interrupted" or "failed: …".
            more: further JSON values, such as fingerprints and what the model has decided.
        """
        if not self.writes:
            return
        tracking.write_metadata(
            self.path,
            status,
            project=config.project,
            tags=config.tracking.tags,
            config=to_dict(config),
            seed=config.seed,
            plugins=imported_digests(config.plugins),
            # By their keys: who reads this can't know the defaults of components.
            changed=[key for key, _, _ in non_defaults(config)],
            **more,
        )


def run_id(config: ExperimentConfig) -> str:
    """`seed<seed>-<digest>`; the digest covers what decides the figures and is no default."""
    told = {key: value for key, _, value in non_defaults(config) if decides(key, config)}
    text = json.dumps(told, sort_keys=True, default=repr)
    return f"seed{config.seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
