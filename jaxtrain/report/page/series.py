"""Series: the values of a name over the steps of an axis, in the form in which they are drawn.

    series = series_of(record.rows)
    series["val/loss", "step"].ys            # [0.8, None, 0.5]: None is NaN or Inf
    series["val/loss", "step"].epochs        # where in the epochs that was: [1.0, 2.0, 3.0]
    thinned(series["loss", "step"], 2000)

What has more points than a screen has pixels is drawn by the smallest and the largest value of each
stretch: no spike gets lost, and the panel says so. Values have seven digits, as a float32 has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtrain.report.page.figures import is_number
from jaxtrain.tracking import LOG, is_count
from jaxtrain.tracking.rows import PLACES, STEP

POINTS = 2000
"""As many of a series are drawn at most."""

_ALL_POINTS = 250_000

_VALUES = int | float | None


@dataclass(frozen=True)
class Series:
    """What was logged under a name on an axis.

    Attributes:
        name: as it was logged.
        axis: "step", or one of somebody's own.
        event: what told it first: "iteration", "epoch" or "log".
        xs: iterations, or steps of the axis.
        ys: the values; None where one is NaN or Inf.
        epochs: how many epochs were over at each; empty where nobody knows.
        total: how many points there are, of which these are some.
        missing: how many of all values are NaN or Inf.
    """

    name: str
    axis: str
    event: str
    xs: list[float] = field(default_factory=list)
    ys: list[float | None] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    total: int = 0
    missing: int = 0

    @property
    def last(self) -> float | None:
        """The last value that is one."""
        return next((y for y in reversed(self.ys) if y is not None), None)


def series_of(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Series]:
    """All series of metrics.jsonl, by name and axis, in the order in which they came up.

    Rows that say no place are no points.
    """
    rows = list(rows)
    place = _Epochs(rows)
    own = {name for row in rows if row.get("event") != LOG for name in row} - PLACES
    found: dict[tuple[str, str], Series] = {}
    for row in rows:
        event = str(row.get("event"))
        x = row.get("step") if event == LOG else row.get("iteration")
        if not is_count(x, 0):
            continue
        axis = str(row.get("axis", STEP)) if event == LOG else STEP
        for name, value in row.items():
            if name in PLACES or isinstance(value, bool) or not isinstance(value, _VALUES):
                continue
            # What somebody logs under a name of the run's own is another curve.
            name = f"log/{name}" if event == LOG and axis == STEP and name in own else name
            one = found.setdefault((name, axis), Series(name, axis, event))
            one.xs.append(int(x))  # type: ignore[arg-type]
            one.ys.append(float(value) if is_number(value) else None)
            if place.known and axis == STEP:
                one.epochs.append(place.of(int(x)))  # type: ignore[arg-type]
    return {key: counted(one) for key, one in found.items()}


def counted(series: Series) -> Series:
    """With its number of points, and of those that are no finite number."""
    return replace(series, total=len(series.xs), missing=sum(y is None for y in series.ys))


def points_each(count: int) -> int:
    """How many points each of so many series may have: all together no page is too large for.

    >>> points_each(10), points_each(1000)
    (2000, 250)
    """
    return max(min(POINTS, _ALL_POINTS // max(count, 1)), 50)


def thinned(series: Series, points: int = POINTS) -> Series:
    """No more than about `points`: of each stretch the smallest and the largest value.

    The first and the last point stay. Where values are NaN, a stretch has one of them besides.
    """
    count = len(series.xs)
    if count <= points:
        return series
    stretches = max(points // 2, 1)
    kept = {0, count - 1}
    for number in range(stretches):
        first, behind = number * count // stretches, (number + 1) * count // stretches
        finite = [at for at in range(first, behind) if series.ys[at] is not None]
        if len(finite) < behind - first:
            kept.add(next(at for at in range(first, behind) if series.ys[at] is None))
        if finite:
            kept.add(min(finite, key=lambda at: series.ys[at] or 0.0))
            kept.add(max(finite, key=lambda at: series.ys[at] or 0.0))
    order = sorted(kept)
    return replace(
        series,
        xs=[series.xs[at] for at in order],
        ys=[series.ys[at] for at in order],
        epochs=[series.epochs[at] for at in order] if series.epochs else [],
    )


def drawn(values: Sequence[float | None]) -> list[float | None]:
    """The values with as many digits as a float32 has.

    >>> drawn([0.30000001192092896, None, 26122])
    [0.3, None, 26122.0]
    """
    return [None if value is None else float(f"{value:.7g}") for value in values]


class _Epochs:
    """From iterations to epochs: straight from the end of one to the end of the next."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        ends = {0: 0.0}
        for row in rows:
            at, epoch = row.get("iteration"), row.get("epoch")
            if row.get("event") == "epoch" and is_count(at) and is_count(epoch):
                ends[int(at)] = float(epoch)  # type: ignore[arg-type]
        self._iterations = sorted(ends)
        self._epochs = [ends[at] for at in self._iterations]
        self.known = len(ends) > 1

    def of(self, iteration: int) -> float:
        """How many epochs were over; beyond the last one by the length that it had."""
        right = min(max(bisect_left(self._iterations, iteration), 1), len(self._iterations) - 1)
        x0, x1 = self._iterations[right - 1], self._iterations[right]
        y0, y1 = self._epochs[right - 1], self._epochs[right]
        return round(y0 + (y1 - y0) * (iteration - x0) / (x1 - x0), 4)
