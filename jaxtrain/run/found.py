"""What a path that somebody typed means: a run directory, one of its checkpoints.

    find_checkpoint(Path("runs/digits/seed0-1a2b3c4d"))       # its best one
    survey(run).resume                                        # the newest good one

Nothing is changed by it.
"""

from __future__ import annotations

from pathlib import Path

from jaxtrain.checkpoint import Saved, Survey, take_survey
from jaxtrain.checkpoint.saved import read_saved
from jaxtrain.config import load
from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.metrics import better


def find_checkpoint(path: Path) -> Saved:
    """The checkpoint that `path` means: itself, or the best of a run directory.

    Raises:
        ConfigError: it means none.
        CheckpointError: it can't be read, or it is a run all of whose checkpoints are bad.
    """
    if (path / "meta.json").is_file():
        saved = read_saved(path)
        if saved is None:
            raise CheckpointError(f"{path / 'meta.json'}: is not what it must be")
        return saved
    if (path / "checkpoints").is_dir():
        surveyed = survey(path)
        best = surveyed.best or surveyed.resume
        if best is not None:
            return best
        if surveyed.found:
            faults = "\n  ".join(f"{one.path.name}: {one.fault}" for one in surveyed.found)
            raise CheckpointError(f"{path}: every checkpoint is bad:\n  {faults}")
    raise ConfigError(
        f"{path}: expected a run directory or one of its checkpoints/NUMBER, found "
        + ("neither" if path.is_dir() else "nothing there")
    )


def survey(run: Path) -> Survey:
    """The checkpoints of a run directory, verified.

    Raises:
        ConfigError: it is none.
    """
    if not (run / "config.yaml").is_file():
        raise ConfigError(f"{run}: expected a run directory, found no config.yaml in it")
    saved = load(run / "config.yaml")
    monitor = str(saved.get("checkpoint.monitor"))
    mode = better(monitor, saved.get("checkpoint.mode", "auto"))
    return take_survey(run / "checkpoints", monitor=monitor, mode=mode)
