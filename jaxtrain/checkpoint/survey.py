"""What would be used of a directory of checkpoints, and why the rest would not.

    survey = take_survey("runs/digits/a/checkpoints", monitor="val/loss", mode="min")
    survey.resume, survey.best                    # a Saved each, or None
    for found in survey.found:
        print(found.path.name, found.fault or "good")

Nothing is changed by it, so it may be taken of a run that is going on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jaxtrain.checkpoint.saved import BAD, Saved, best_first, committed, half_written, read_saved
from jaxtrain.checkpoint.verifier import Verifier
from jaxtrain.metrics import Direction


@dataclass(frozen=True)
class Found:
    """Something in the directory."""

    path: Path
    saved: Saved | None  # what its meta.json says, where that can be read
    fault: str = ""  # why it would not be used; empty for a good one


@dataclass(frozen=True)
class Survey:
    """The whole directory."""

    found: tuple[Found, ...]  # oldest first, then what is half-written, then what was set aside
    resume: Saved | None  # the newest good one
    best: Saved | None  # the best good one by the monitored metric; None where none has it

    @property
    def all_bad(self) -> bool:
        """Whether there are checkpoints, but none that could be used."""
        return bool(self.found) and self.resume is None


def take_survey(directory: str | os.PathLike[str], *, monitor: str, mode: Direction) -> Survey:
    """Verify every checkpoint in `directory`, also those of a run that is going on."""
    directory = Path(directory)
    verifier = Verifier()
    found = [Found(p, read_saved(p), verifier.fault(p)) for p in committed(directory)]
    good = [f.saved for f in found if f.saved is not None and not f.fault]
    ranking = best_first(good, monitor=monitor, mode=mode)
    found += [
        Found(path, None, "half-written: the save was never finished, or is under way")
        for path in half_written(directory)
    ]
    found += [
        Found(p, None if p.is_symlink() else read_saved(p), "set aside: " + verifier.fault(p))
        for p in sorted(directory.glob(f"{BAD}/*"))
    ]
    return Survey(tuple(found), good[-1] if good else None, ranking[0] if ranking else None)
