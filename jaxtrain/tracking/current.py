"""The run that is being recorded now, and how: what a script or a notebook calls.

    from jaxtrain import tracking

    tracking.set_mode("offline")                       # or "online", "disabled"
    run = tracking.run("digits", name="first", config={"lr": 1e-3}, tags=["trial"])
    tracking.log({"loss": 0.4}, step=1)                # into the run that was begun last
    tracking.finish()

    with tracking.run("digits", name="first", resume=True) as run: ...    # goes on

"offline" writes the run's directory and nothing else. "online" sends what stands there to an MLflow
server besides, from a thread: one that can't be reached costs a warning, and up to ten seconds when
the run ends; `jaxtrain runs sync` brings the rest later. "disabled" writes nothing, but checks what
it is given all the same: a script that runs so runs in the other mode, too. In a run of the command
line the current run is that run, and its config has the mode: a hook of one's own just calls
`tracking.log_image(...)`.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from jaxtrain.errors import (
    CheckpointError,
    ConfigError,
    JaxtrainError,
    Preempted,
    TrackingError,
    did_you_mean,
)
from jaxtrain.files import inside, make_directory, refuse_links, typed_directory
from jaxtrain.files.lock import lock
from jaxtrain.files.names import check_name
from jaxtrain.tracking.artifacts import Artifact, LoggedArtifact
from jaxtrain.tracking.media import plain
from jaxtrain.tracking.metadata import write_metadata
from jaxtrain.tracking.mlflow import Uploader, tracking_uri
from jaxtrain.tracking.record import RunRecord
from jaxtrain.tracking.recorder import Run
from jaxtrain.tracking.rows import STEP

logger = logging.getLogger(__name__)

Mode = Literal["offline", "online", "disabled"]

_mode: Mode = "offline"
_uri: str | None = None
_open: list[Run] = []


def set_mode(mode: Mode, *, uri: str | None = None) -> None:
    """Say what becomes of the runs that are begun from now on.

    Args:
        mode: "offline", "online" or "disabled".
        uri: of the MLflow server of "online"; by default what MLFLOW_TRACKING_URI says.

    Raises:
        ConfigError: there is no such mode; "online" without a server that is named, or without
            mlflow; another one with a server.
    """
    if mode not in get_args(Mode):
        raise ConfigError(
            f"set_mode: expected one of {', '.join(get_args(Mode))}, found {mode!r}"
            f"{did_you_mean(str(mode), get_args(Mode))}"
        )
    if uri is not None and mode != "online":
        raise ConfigError(f"set_mode: a uri is for the mode 'online', found {mode!r}")
    global _mode, _uri
    _uri = tracking_uri(uri) if mode == "online" else None
    _mode = mode


def run(
    project: str,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    *,
    root: str | os.PathLike[str] = "runs",
    resume: bool = False,
) -> ScriptRun:
    """Begin a run, `<root>/<project>/<name>`; what is logged from now on goes there.

    Args:
        project: what it belongs to: letters, digits, '.', '_' and '-'.
        name: likewise; by default the time and four random digits.
        config: what it was done with: nested dicts and lists of texts, numbers, paths, None.
        tags: for finding it again.
        root: where the projects are.
        resume: go on with the run of that name, where there is one.

    Raises:
        ConfigError: a name is none; there is a run of that name and `resume` was not said; or
            another process has it.
        TrackingError: the config holds something else; it is named.
    """
    config = _plain(config or {}, "run: config")
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise ConfigError(f"run: tags: expected a list of texts, found {tags!r}")
    if name is None:
        if resume:
            raise ConfigError("run: resume=True wants the name of the run")
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    check_name(project, what="run: project")
    check_name(name, what="run: name")
    directory = inside(typed_directory(os.fspath(root), what="run: root"), project, name)
    begun = ScriptRun(
        directory.absolute(),
        project=project,
        config=config,
        tags=tags,
        resume=resume,
        writes=_mode != "disabled",
        uri=_uri,
    )
    _open.append(begun)
    return begun


class ScriptRun(Run):
    """A run that a script or a notebook has begun: it holds its directory until it is finished.

    A context that finishes it: as completed, as interrupted, or as failed with what was raised. One
    that nobody finishes is finished when Python ends.
    """

    def __init__(
        self,
        directory: Path,
        *,
        project: str,
        config: Mapping[str, Any],
        tags: Sequence[str],
        resume: bool,
        writes: bool,
        uri: str | None,
    ) -> None:
        self._project, self._config, self._tags = project, config, tuple(tags)
        self._held = contextlib.ExitStack()
        self._finished = False
        self._uploader = None if uri is None else Uploader(directory, uri)
        if writes:
            if (directory / "config.yaml").exists():
                raise ConfigError(f"{directory}: is a run of the command line; choose another name")
            there = (directory / "metadata.json").exists()
            if there and not resume:
                raise ConfigError(
                    f"{directory}: there is a run of that name; choose another, or go on with it: "
                    "run(..., resume=True)"
                )
            make_directory(directory)
            introduce = self._held.enter_context(lock(directory))
            try:
                refuse_links(directory)
                if there:
                    self._tell_changes(RunRecord.read(directory))
                introduce()
                self._note(directory, "running")
            except BaseException:
                self._held.close()
                raise
        super().__init__(directory, writes=writes)
        self._raised_before = getattr(sys, "last_value", None)
        if writes:
            self.mend()
        if self._uploader is not None:
            self._uploader.start()

    def finish(self, status: str = "completed") -> None:
        """End the run; again it does nothing. Online, the last rows get up to ten seconds.

        Args:
            status: "completed", "interrupted" or "failed: ...".
        """
        if self._finished:
            return
        self._finished = True
        if self in _open:
            _open.remove(self)
        try:
            if self._writes:
                with self._held:
                    self._note(self.directory, status)
        finally:
            if self._uploader is not None:
                self._uploader.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A full disk, or a directory that is gone: the error that is on its way is the one to see.
        with contextlib.suppress(OSError, CheckpointError) if error else contextlib.nullcontext():
            self.finish(ending(error))

    def _finish_at_exit(self) -> None:
        """As the script did; in a session at a prompt an error of some line says nothing of it."""
        error = getattr(sys, "last_value", None)
        at_prompt = hasattr(sys, "ps1") or "ipykernel" in sys.modules
        self.finish(ending(None if at_prompt or error is self._raised_before else error))

    def _note(self, directory: Path, status: str) -> None:
        write_metadata(
            directory, status, project=self._project, config=self._config, tags=self._tags
        )

    def _tell_changes(self, before: RunRecord) -> None:
        keys = dict.fromkeys([*before.config, *self._config])
        changed = [key for key in keys if before.config.get(key) != self._config.get(key)]
        if changed:
            logger.warning(
                "%s goes on with another config: %s", before.path, ", ".join(map(str, changed))
            )


@contextlib.contextmanager
def recording(run: Run) -> Iterator[None]:
    """Let `log` and its like, and hooks, write into `run` for as long as the context lasts."""
    _open.append(run)
    try:
        yield
    finally:
        _open.remove(run)


def current() -> Run | None:
    """The run that was begun last and is not finished."""
    return _open[-1] if _open else None


def finish(status: str = "completed") -> None:
    """End the current run, one of `run`'s.

    Raises:
        TrackingError: there is none, or it is one of the command line, which ends by itself.
    """
    found = _active()
    if not isinstance(found, ScriptRun):
        raise TrackingError(f"finish: {found.directory} ends when its training does")
    found.finish(status)


def log(values: Mapping[str, Any], step: int | None = None, *, axis: str = STEP) -> None:
    """`Run.log` of the current run."""
    _active().log(values, step, axis=axis)


def log_image(name: str, image: Any, step: int | None = None, *, caption: str = "") -> None:
    """`Run.log_image` of the current run."""
    _active().log_image(name, image, step, caption=caption)


def log_histogram(name: str, values: Any, step: int | None = None, *, bins: int = 64) -> None:
    """`Run.log_histogram` of the current run."""
    _active().log_histogram(name, values, step, bins=bins)


def log_text(name: str, text: str, step: int | None = None) -> None:
    """`Run.log_text` of the current run."""
    _active().log_text(name, text, step)


def log_table(
    name: str, rows: Any, step: int | None = None, *, columns: Iterable[str] | None = None
) -> None:
    """`Run.log_table` of the current run."""
    _active().log_table(name, rows, step, columns=columns)


def log_artifact(artifact: Artifact, *, aliases: Sequence[str] = ()) -> LoggedArtifact | None:
    """`Run.log_artifact` of the current run."""
    return _active().log_artifact(artifact, aliases=aliases)


def use_artifact(reference: str) -> LoggedArtifact:
    """`Run.use_artifact` of the current run."""
    return _active().use_artifact(reference)


def _active() -> Run:
    found = current()
    if found is None:
        raise TrackingError("no run is being recorded: begin one with tracking.run(project)")
    return found


def ending(error: BaseException | None) -> str:
    """The status of a run that ended with that: completed, interrupted, or failed with what."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "completed"
    if isinstance(error, KeyboardInterrupt | Preempted):
        return "interrupted"
    # One of ours says by itself what it is about.
    kind = "" if isinstance(error, JaxtrainError) else f"{type(error).__name__}: "
    return f"failed: {kind}{error}"


def _plain(value: Any, what: str) -> Any:
    """A config as JSON has it: a tuple is a list, a path a text, a number of NumPy's a number."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{what}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, f"{what}[{place}]") for place, item in enumerate(value)]
    return plain(value, what)


@atexit.register
def _finish_all() -> None:
    for run in reversed([run for run in _open if isinstance(run, ScriptRun)]):
        run._finish_at_exit()
