"""TensorBoard's event file: numbers, pictures, histograms, texts and hyperparameters.

    with EventFile(run.directory) as events:
        run.add_sink(events)                 # what is logged goes there, too

Written by tensorboardX. A table becomes a text, in Markdown; a number of an axis of somebody's own
stands under the axis' name (`fold/auc`).
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jaxtrain.errors import TrackingError
from jaxtrain.files import refuse_gone
from jaxtrain.tracking.media import Medium
from jaxtrain.tracking.rows import STEP


@contextlib.contextmanager
def _without(library: str) -> Iterator[None]:
    """What this thread imports finds no such library, unless it is there already.

    tensorboardX imports PyTorch where it finds it, for the annotation of an argument: two seconds,
    and some hundred megabytes.
    """
    thread = threading.get_ident()

    class Absent(MetaPathFinder):
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == library and threading.get_ident() == thread:
                raise ModuleNotFoundError(f"{library} is not needed here", name=library)

    sys.meta_path.insert(0, Absent)
    try:
        yield
    finally:
        sys.meta_path.remove(Absent)


class EventFile:
    """One event file, `events.out.tfevents.…`, in a directory that is made where it is missing.

    Args:
        directory: where it goes.
        purge: the first step that is going to be written, where an engine goes on: TensorBoard
            forgets what an earlier process has written from there on.

    Raises:
        OSError: it can't be written; names the file. So do all methods.
    """

    def __init__(self, directory: str | Path, *, purge: int | None = None) -> None:
        # Its EventsWriter, not its SummaryWriter, which writes in a thread: where the disk is full,
        # nobody hears of it there.
        with _without("torch"):
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import SessionLog

        self.directory = Path(directory)
        refuse_gone(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._writer = EventsWriter(str(self.directory.absolute() / "events"))
            if purge is not None:
                self._add(step=purge, session_log=SessionLog(status=SessionLog.START))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def figures(self, values: Mapping[str, float], step: int, axis: str = STEP) -> None:
        """Numbers by their names; see `Sink`."""
        from tensorboardX.summary import scalar

        for name, value in values.items():
            tag = name if axis == STEP else f"{axis}/{name}"
            self._add(step=step, summary=scalar(tag, value))

    def medium(self, medium: Medium, name: str, step: int) -> None:
        """A picture, histogram, text or table; see `Sink`."""
        self._add(step=step, summary=_summary(medium, name))

    def hyperparameters(self, config: Mapping[str, Any], monitors: Iterable[str]) -> None:
        """What TensorBoard's HParams tab shows.

        Args:
            config: nested dicts; numbers, texts and booleans of it are shown, by dotted names,
                lists as texts.
            monitors: the names of the metrics to set beside them.
        """
        from tensorboardX.summary import hparams

        for summary in hparams(dict(_flat(config)), dict.fromkeys(monitors)):
            self._add(summary=summary)

    def flush(self) -> None:
        """Have all of it in the file."""
        with self._named():
            self._writer.flush()

    def close(self) -> None:
        """End the file."""
        with self._named():
            self._writer.close()

    def _add(self, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with self._named():
            self._writer.write_event(Event(wall_time=time.time(), **content))

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Where a write fails, say where."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self.directory / "events.out.tfevents")
            raise


def _summary(medium: Medium, name: str) -> Any:
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import histogram_raw, text

    if medium.kind == "image":
        told = medium.told
        picture = Summary.Image(
            height=told["height"],
            width=told["width"],
            colorspace=_channels(medium.content),
            encoded_image_string=medium.content,
        )
        return Summary(value=[Summary.Value(tag=name, image=picture)])
    if medium.kind == "text":
        return text(name, medium.content.decode())
    content = json.loads(medium.content)
    if medium.kind == "table":
        return text(name, _markdown(content["columns"], content["rows"]))
    if medium.kind == "histogram":
        return histogram_raw(
            name,
            min=content["min"],
            max=content["max"],
            num=sum(content["counts"]),
            sum=content["sum"],
            sum_squares=content["sum_squares"],
            bucket_limits=content["edges"][1:],
            bucket_counts=content["counts"],
        )
    raise TrackingError(f"{name}: TensorBoard has nothing for {medium.kind!r}")


def _channels(png: bytes) -> int:
    """Of a PNG, by the colour type in its header: grey, RGB, palette, grey and alpha, RGBA."""
    return {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[png[25]]


def _markdown(columns: list[str], rows: list[list[Any]]) -> str:
    def line(cells: list[Any]) -> str:
        texts = ("" if cell is None else str(cell) for cell in cells)
        return "| " + " | ".join(t.replace("|", "\\|").replace("\n", " ") for t in texts) + " |"

    return "\n".join([line(columns), "|" + " --- |" * len(columns), *map(line, rows)])


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str):
            yield prefix + key, value
        elif value is not None:
            yield prefix + key, json.dumps(value)
