"""metrics.csv: one line an epoch, for a spreadsheet.

    epoch,iteration,train/loss,train/accuracy,val/loss,val/accuracy
    1,900,0.31,0.91,0.17,0.95

`trainer.attach(CSV(run_directory))` writes it.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxtrain.engine import Engine, Events
from jaxtrain.files import append_line, replacing
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import completed_epochs, epoch_row

logger = logging.getLogger(__name__)


@HOOKS.register("csv")
class CSV:
    """Writes `metrics.csv` into `directory`.

    A metric that is new gets a further column, empty in the lines before. A run that goes on
    after a kill first drops the lines that it is going to write again.

    Args:
        directory: where the file goes; made when the run begins.
    """

    FILE_NAME = "metrics.csv"
    writes = (FILE_NAME,)

    def __init__(self, directory: str | Path) -> None:
        self.path = Path(directory) / self.FILE_NAME
        self._columns: list[str] = []

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        engine.attach_handler(Events.STARTED | Events.RESUMED, self._rewind)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._write, needs=(EPOCH_METRICS,))

    def _rewind(self, engine: Engine) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._columns = []
        if not self.path.exists():
            return
        done, last = completed_epochs(engine.state), engine.state.iteration
        rows, dropped = self._read()
        if dropped:
            logger.warning("%s: dropped %d lines that can't be those of epochs", self.path, dropped)
        kept = [r for r in rows if int(r["epoch"]) <= done and int(r["iteration"]) <= last]
        if kept:
            self._rewrite(kept)
        else:
            self.path.unlink()
            self._columns = []

    def _write(self, engine: Engine) -> None:
        row = {name: str(value) for name, value in epoch_row(engine).items()}
        new = [name for name in row if name not in self._columns]
        if new:
            earlier = self._read()[0] if self._columns else []
            self._columns += new
            self._rewrite([*earlier, row])
        else:
            append_line(self.path, _text([row], self._columns).encode())

    def _read(self) -> tuple[list[dict[str, str]], int]:
        """The lines that can be those of epochs, and how many others there were.

        One that a kill has torn is none of either. A line is read for itself: a line that is not
        even text says nothing against the others.
        """
        *lines, _torn = self.path.read_bytes().split(b"\n")
        texts = [_decoded(line) for line in lines]
        header = _cells(texts[0]) if texts else []
        sound = {"epoch", "iteration"} <= {*header} and len({*header}) == len(header)
        self._columns = header if sound else []
        rows = []
        for text in texts[1:]:
            cells = _cells(text)
            row = dict(zip(header, cells, strict=False))
            if sound and len(cells) == len(header) and _is_epoch(row):
                rows.append(row)
        return rows, len(lines) - len(rows) - sound

    def _rewrite(self, rows: Iterable[dict[str, str]]) -> None:
        header = dict(zip(self._columns, self._columns, strict=True))
        with replacing(self.path) as temporary:
            temporary.write_text(
                _text([header, *rows], self._columns), newline="", encoding="utf-8"
            )


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""


def _cells(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:  # NULs, a field without an end
        return []


def _is_epoch(row: Mapping[str, str]) -> bool:
    """Whether it says of which epoch it is, and where that ended."""
    cells = (row["epoch"], row["iteration"])
    return all(c.isascii() and c.isdecimal() and len(c) < 19 and int(c) > 0 for c in cells)


def _text(rows: Iterable[dict[str, str]], columns: Sequence[str]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writerows(rows)
    return buffer.getvalue()
