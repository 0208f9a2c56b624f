"""What a path that somebody typed means: a run directory, one of its checkpoints.

    find_checkpoint(Path("runs/digits/seed0-1a2b3c4d"))       # its best one
    survey(run).resume                                        # the newest good one

Nothing is changed by it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxtrain.checkpoint import Saved, Survey, take_survey, vouched
from jaxtrain.checkpoint.saved import committed, read_saved
from jaxtrain.config import load
from jaxtrain.config.schema import CheckpointSection
from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.metrics import Mode, better


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
    if phases := sorted(one.name for one in (path / "phases").glob("*-*")):
        raise ConfigError(
            f"{path}: holds a run of several phases; name one of them: "
            + ", ".join(str(path / "phases" / name) for name in phases)
        )
    raise ConfigError(
        f"{path}: expected a run directory or one of its checkpoints/NUMBER, found "
        + ("neither" if path.is_dir() else "nothing there")
    )


def survey(run: Path) -> Survey:
    """The checkpoints of a run directory, verified.

    Raises:
        ConfigError: it is none.
    """
    if not holds_a_run(run):
        raise ConfigError(f"{run}: expected a run directory, found no config.yaml in it")
    monitor, mode = _monitor(run)
    return take_survey(run / "checkpoints", monitor=monitor, mode=better(monitor, mode))


def holds_a_run(path: Path) -> bool:
    """Whether it is the directory of a run; its checkpoints alone are enough."""
    return (path / "config.yaml").is_file() or bool(committed(path / "checkpoints"))


def _monitor(run: Path) -> tuple[str, Mode]:
    """By what the best checkpoint is chosen: as the newest says, else as config.yaml does."""
    sections: list[Any] = []
    for saved in reversed(vouched(run / "checkpoints")):
        config = saved.meta.get("config")
        sections.append(config.get("checkpoint") if isinstance(config, dict) else None)
    with suppress(ConfigError, OSError):
        sections.append(load(run / "config.yaml").to_dict().get("checkpoint"))
    for section in sections:
        if isinstance(section, dict) and isinstance(section.get("monitor"), str):
            mode = section.get("mode", "auto")
            if mode in ("auto", "min", "max"):
                return section["monitor"], mode
    default = CheckpointSection()
    return default.monitor, default.mode
