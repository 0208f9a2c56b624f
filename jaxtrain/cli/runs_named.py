"""Which run a word means, and the shortest word that means a run.

meant("latest", "runs"), meant("seed0-1a", "runs"), meant("digits/seed0-1a2b3c4d", "runs")
handles(records)                       # [("seed0-1a2b3c4d", "seed0-"), ...]: full and short
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from jaxtrain.cli.runs_facts import Facts
from jaxtrain.cli.runs_words import NAMES
from jaxtrain.errors import ConfigError
from jaxtrain.tracking import RunRecord, find_runs, one_run

LATEST = "latest"

_SHORTEST = 6


def meant(text: str, root: Path) -> RunRecord:
    """The run that somebody means; it may be a broken one.

    Raises:
        ConfigError: no run, or several, which are listed.
    """
    if not text:
        raise ConfigError(f"expected a run ({NAMES}), found ''")
    if text != LATEST:
        return one_run(text, root, broken=True)
    runs = list(find_runs(root))
    if not runs:
        raise ConfigError(f"{LATEST}: there is no run below {root}")
    return newest_first(runs)[0]


def newest_first(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """By when they began or ended; those that don't say it, last."""

    def age(record: RunRecord) -> tuple[float, int]:
        time = Facts(record).time
        file = record.path / "metadata.json"
        changed = file.stat().st_mtime_ns if file.is_file() else 0
        return (0.0 if time is None else time.timestamp(), changed)  # seconds alone are coarse

    return sorted(runs, key=age, reverse=True)


def handles(runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """What to type for each, in full and as short as it can be: `meant` finds it by either.

    The id, or where another run has it, too, the project and the id, or then the path.
    """
    named = sorted(
        (name, number)
        for number, run in enumerate(runs)
        for name in (run.id, f"{run.project}/{run.id}")
    )
    places = {pair: at for at, pair in enumerate(named)}

    def shared(pair: tuple[str, int]) -> int:
        """How many characters another run's name begins with as well."""
        most = 0
        for step in (-1, 1):
            at = places[pair] + step
            while 0 <= at < len(named) and named[at][1] == pair[1]:
                at += step
            if 0 <= at < len(named):
                most = max(most, _common(pair[0], named[at][0]))
        return most

    def is_taken(pair: tuple[str, int]) -> bool:
        at = places[pair]
        beside = named[max(at - 1, 0) : at + 2]
        return any(name == pair[0] and number != pair[1] for name, number in beside)

    found = []
    for number, run in enumerate(runs):
        for name in (run.id, f"{run.project}/{run.id}"):
            if name != LATEST and not is_taken((name, number)):
                least = max(shared((name, number)) + 1, _SHORTEST)
                short = name[:least]
                found.append((name, name if short == LATEST else short))
                break
        else:
            found.append((str(run.path), str(run.path)))
    return found


def _common(a: str, b: str) -> int:
    pairs = zip(a, b, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
