"""A run's way to a server: everything that is on the disk and not there, and nothing twice.

    synced = sync(RunRecord.read("runs/digits/first"), "http://127.0.0.1:5000")

    sending = Sending(directory, uri)             # once and again, while the run goes on
    sending.send()

Called twice, or stopped anywhere and called again, it comes to the same:

- The run is looked up by its tag before it is made.
- Rows are compared with what the server has, unless sync.json vouches for them. It does so only for
  what has all arrived, and it is taken away before the first byte of anything more is sent.
- A value's time is the run's beginning (rows have none of their own), plus a millisecond for each
  one of its series and step before it. Key, step, time and value are the primary key of a metric in
  MLflow's databases, which leave out what they have: so what is sent twice by two at once, from
  copies of a directory, is there once, and equal values that were logged twice are there twice.
- A file has its own path, and replaces what is there.

A run that takes rows back and writes them again ends with the same ones there. MLflow deletes no
value: those that came out differently the second time are there in both ways, and `notes` says so.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from jaxtrain.errors import DataError, ServerError
from jaxtrain.tracking.mlflow.alone import alone
from jaxtrain.tracking.mlflow.facts import (
    KEY_TAG,
    began_of,
    cut_tags,
    ending_of,
    key_of,
    params_of,
    tags_of,
)
from jaxtrain.tracking.mlflow.files import files_of, is_fixed, signature, sizes_on
from jaxtrain.tracking.mlflow.sent import Sent
from jaxtrain.tracking.mlflow.series import Point, Tail, stored
from jaxtrain.tracking.mlflow.server import answered, client_of, shown, tracking_uri
from jaxtrain.tracking.record import RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

# What MLflow takes in one request, and in bytes of JSON, where it refuses a million.
_METRICS, _OTHERS, _BYTES = 1000, 100, 900_000

_UNKNOWN = (-1, -1)


@dataclass(frozen=True)
class Synced:
    """What was sent.

    Attributes:
        run_id: the server's name of the run.
        url: where to look at it; None where the server is a database.
        values: how many values of metrics were sent this time.
        params: how many params.
        files: how many files.
        notes: what is other there than here, a line each.
    """

    run_id: str
    url: str | None
    values: int
    params: int
    files: int
    notes: tuple[str, ...]


def sync(record: RunRecord, uri: str | None = None) -> Synced:
    """Bring a run's record to an MLflow tracking server, or what is not there of it yet.

    Args:
        record: the run; what has come to its directory since it was read is sent, too.
        uri: of the server, or of a database: `sqlite:///mlflow.db`. By default what
            MLFLOW_TRACKING_URI says.

    Returns:
        What was sent, and what is other there.

    Raises:
        ConfigError: no server is named, or it is a directory; there is no run, or no mlflow.
        ServerError: it can't be reached, or refuses. Call it again.
        DataError: the run's metadata.json is broken.
    """
    return Sending(record.path, tracking_uri(uri)).send()


class Sending:
    """A run and a server, for as long as one likes.

    Args:
        directory: of the run.
        uri: what `tracking_uri` gave.
        timeout: seconds to wait for an answer, where the environment says nothing else.
    """

    def __init__(self, directory: Path, uri: str, *, timeout: float = 60.0) -> None:
        self.directory = directory
        self.uri = uri
        self._timeout = timeout
        self._client: MlflowClient | None = None
        self._run_id = ""  # none: what is there has to be asked
        self._started = 0
        self._url: str | None = None
        self._described = _UNKNOWN
        self._sent = Sent()
        self._notes: dict[str, str] = {}

    def send(self) -> Synced:
        """Send what is not there yet.

        Raises:
            ServerError: it can't be reached, or refuses.
            ConfigError: there is no run in the directory.
            DataError: its metadata.json is broken.
        """
        with alone(self.directory):
            # Before it is read: what comes in between is looked at by the next call.
            described = _described(self.directory)
            record = RunRecord.read(self.directory)
            if self._client is None:
                self._client = client_of(self.uri, self._timeout)
            try:
                with answered(self.uri):
                    return self._send(record, described, self._client)
            except BaseException:
                self._run_id = ""
                raise

    def _send(self, record: RunRecord, described: tuple[int, int], client: MlflowClient) -> Synced:
        if not self._run_id:
            self._begin(record, client)
        points = self._tail.points()
        if self._sent.extra and record.status != "running":
            self._tail.forget()  # what was taken back should have come again by now
            points = self._tail.points()
        self._note_of(points)
        if self._tail.anew:
            points = self._missing(points, client)
        params, tags, ending = (
            self._facts(record, client) if described != self._described else ({}, {}, None)
        )
        files = self._files(record)
        if points or params or tags or ending or files:
            # From here on, until all has arrived, only the server knows what it has.
            Sent.forget(record.path, self.uri)
        self._log(points, params, tags, client)
        for name in files:
            folder = str(PurePosixPath(name).parent)
            place = record.path / name
            found = signature(place)
            client.log_artifact(self._run_id, str(place), None if folder == "." else folder)
            self._sent.files[name] = found
        if ending is not None:
            status, end = ending
            if end is None:
                client.update_run(self._run_id, status=status)
            else:
                client.set_terminated(self._run_id, status, end)
        self._described = described
        sent = self._sent
        sent.bytes, sent.digest, sent.status = self._tail.size, self._tail.digest, record.status
        if Sent.read(record.path, self.uri) != sent:
            sent.write(record.path, self.uri)
        notes = tuple(self._notes.values())
        return Synced(self._run_id, self._url, len(points), len(params), len(files), notes)

    def _begin(self, record: RunRecord, client: MlflowClient) -> None:
        """Find the run there, or make it, and see what is known of what it has."""
        run = _found_or_made(record, client, self._notes)
        sent = Sent.read(record.path, self.uri)
        self._tail = Tail(record.path, is_script=not (record.path / "config.yaml").exists())
        self._described = _UNKNOWN
        if sent is None or sent.run_id != run.info.run_id:
            self._sent = Sent(run_id=run.info.run_id)
            there = sizes_on(client, run.info.run_id)
            for name in filter(is_fixed, files_of(record)):
                if there.get(name) == (found := signature(record.path / name))[0]:
                    self._sent.files[name] = found
        else:
            self._sent = sent
            if self._tail.begins_with(sent.bytes, sent.digest):
                self._tail.skip(sent.bytes)
        self._started = run.info.start_time
        self._url = None
        if self.uri.startswith("http"):
            place = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
            self._url = f"{shown(self.uri).rstrip('/')}/#/{place}"
        self._run_id = run.info.run_id

    def _missing(self, points: list[Point], client: MlflowClient) -> list[Point]:
        """Those that the server does not have; and count what it has besides."""
        keys = {point.key for point in points}
        there: Counter[tuple[str, int, int, float | str]] = Counter()
        for key in client.get_run(self._run_id).data.metrics:
            if key in keys:
                for one in client.get_metric_history(self._run_id, key):
                    there[key, one.step, one.timestamp, stored(one.value)] += 1
        missing = []
        for point in points:
            place = (point.key, point.step, self._started + point.nth, stored(point.value))
            if there[place]:
                there[place] -= 1
            else:
                missing.append(point)
        extra = +there
        self._sent.extra = extra.total()
        self._notes.pop("extra", None)
        if extra:
            key, step, *_ = next(iter(extra))
            self._notes["extra"] = (
                f"the server has {extra.total()} values that were taken back here, such as {key} "
                f"at {step}; MLflow deletes none"
            )
        return missing

    def _facts(
        self, record: RunRecord, client: MlflowClient
    ) -> tuple[dict[str, str], dict[str, str], tuple[str, int | None] | None]:
        """Params, tags and the ending, where they are not there yet."""
        run = client.get_run(self._run_id)
        params, cut = params_of(record)
        there = run.data.params
        changed = [key for key in params.keys() & there.keys() if params[key] != there[key]]
        self._note("cut", f"cut, since MLflow takes 6000 characters: params {_names(cut)}", cut)
        self._note(
            "changed",
            f"changed when the run went on, which MLflow does not take: params {_names(changed)}; "
            "metadata.json there has them",
            changed,
        )
        lost = cut_tags(record)
        self._note("tags", f"left out, since MLflow takes 5000 characters: {lost} tags", lost)
        tags = {k: v for k, v in tags_of(record).items() if run.data.tags.get(k) != v}
        status, end = ending_of(record)
        same = run.info.status == status and (end is None or run.info.end_time == end)
        new = {key: value for key, value in params.items() if key not in there}
        return new, tags, None if same else (status, end)

    def _files(self, record: RunRecord) -> list[str]:
        """Those that are to be sent. An artifact whose files were changed is left out."""
        damaged = {}
        for one in record.artifacts:
            home = one.path.relative_to(record.path)
            names = [str(home / name) for name in one.files]
            if all(name in self._sent.files for name in names):
                continue
            try:
                one.verify()
            except DataError as error:
                damaged.update(dict.fromkeys(names, str(error)))
        self._note("damaged", f"not sent: {'; '.join(dict.fromkeys(damaged.values()))}", damaged)
        return [
            name
            for name in files_of(record)
            if name not in damaged and self._sent.files.get(name) != signature(record.path / name)
        ]

    def _log(
        self,
        points: list[Point],
        params: dict[str, str],
        tags: dict[str, str],
        client: MlflowClient,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        log = partial(client.log_batch, self._run_id)
        for some in _batches(tags.items(), _OTHERS):
            log(tags=[RunTag(*item) for item in some])
        for some in _batches(params.items(), _OTHERS):
            log(params=[Param(*item) for item in some])
        for at in range(0, len(points), _METRICS):
            log(
                metrics=[
                    Metric(one.key, one.value, self._started + one.nth, one.step)
                    for one in points[at : at + _METRICS]
                ]
            )

    def _note_of(self, points: list[Point]) -> None:
        """Say what is other in the values that are new here."""
        nonfinite = sum(math.isnan(point.value) for point in points)
        self._note("nan", f"{nonfinite} values were not finite: there they are NaN", nonfinite)
        other = self._tail.renamed
        self._note(
            "names",
            f"called otherwise there: {_names([f'{old!r} {new!r}' for old, new in other.items()])}",
            other,
        )

    def _note(self, about: str, text: str, applies: object) -> None:
        if applies:
            self._notes[about] = text
        else:
            self._notes.pop(about, None)


def _described(directory: Path) -> tuple[int, int]:
    try:
        return signature(directory / "metadata.json")
    except FileNotFoundError:
        return _UNKNOWN


def _found_or_made(record: RunRecord, client: MlflowClient, notes: dict[str, str]) -> Run:
    experiment = _experiment(record.project, client)
    wanted = f"tags.`{KEY_TAG}` = '{key_of(record)}'"
    found = sorted(client.search_runs([experiment], wanted), key=lambda run: str(run.info.run_id))
    if len(found) > 1:
        ids = ", ".join(run.info.run_id for run in found)
        notes["several"] = f"the server has this run {len(found)} times ({ids}); used is the first"
    if found:
        return found[0]
    tags = {KEY_TAG: key_of(record)}
    return client.create_run(experiment, start_time=began_of(record), tags=tags, run_name=record.id)


def _experiment(project: str, client: MlflowClient) -> str:
    """The id of the project's experiment, which is made where there is none."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(project)
    if found is None:
        try:
            return str(client.create_experiment(project))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(project)  # somebody has just made it
    if found is None or found.lifecycle_stage != "active":
        raise ServerError(
            f"MLflow: the experiment {project!r} was deleted on the server; restore it there "
            "(mlflow experiments restore), or set another project"
        )
    return str(found.experiment_id)


def _batches(items: Iterable[tuple[str, str]], most: int) -> Iterator[list[tuple[str, str]]]:
    """Items that go together into one request."""
    batch: list[tuple[str, str]] = []
    size = 0
    for key, value in items:
        # In JSON a character is up to six; one beyond 16 bits, which is two of Python's, twelve.
        weight = 12 * (len(key) + len(value)) + 64
        if batch and (len(batch) == most or size + weight > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append((key, value))
        size += weight
    if batch:
        yield batch


def _names(names: Iterable[str], most: int = 5) -> str:
    """A few of them, in their order.

    >>> _names("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
