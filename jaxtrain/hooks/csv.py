"""metrics.csv: one line an epoch, for a spreadsheet.

    epoch,iteration,train/loss,train/accuracy,val/loss,val/accuracy
    1,900,0.31,0.91,0.17,0.95

`trainer.attach(CSV(run_directory))` writes it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxtrain.engine import Engine, Events
from jaxtrain.files.atomic import replacing
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import completed_epochs, epoch_row


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
        done = completed_epochs(engine.state)
        kept = [row for row in self._read() if _epoch(row) <= done]
        if kept:
            self._rewrite(kept)
        else:
            self.path.unlink()
            self._columns = []

    def _write(self, engine: Engine) -> None:
        row = {name: str(value) for name, value in epoch_row(engine).items()}
        new = [name for name in row if name not in self._columns]
        if new:
            earlier = self._read() if self._columns else []
            self._columns += new
            self._rewrite([*earlier, row])
        else:
            with self.path.open("a", newline="") as file:
                file.write(_text([row], self._columns))

    def _read(self) -> list[dict[str, str]]:
        """The whole lines of the file; one that a kill has torn is left out."""
        *lines, _torn = self.path.read_text().split("\n")
        reader = csv.DictReader(lines)
        self._columns = list(reader.fieldnames or [])
        return [row for row in reader if None not in row and None not in row.values()]

    def _rewrite(self, rows: Iterable[dict[str, str]]) -> None:
        header = dict(zip(self._columns, self._columns, strict=True))
        with replacing(self.path) as temporary:
            temporary.write_text(_text([header, *rows], self._columns), newline="")


def _epoch(row: dict[str, str]) -> float:
    """The epoch of a line; that of a damaged one lies in the future, and so it goes."""
    text = row.get("epoch", "")
    return int(text) if text.isdecimal() else float("inf")


def _text(rows: Iterable[dict[str, str]], columns: Sequence[str]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writerows(rows)
    return buffer.getvalue()
