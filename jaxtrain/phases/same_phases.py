"""What is over is not done again, so it has to be what the config says.

refuse_others(layout, "auto")             # the directory of something else
refuse_changes(layout, ledger)            # phases, or tasks, that were others
"""

from __future__ import annotations

import logging

from jaxtrain.config import load, to_dict
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import unfinished
from jaxtrain.phases.joint import JOINT
from jaxtrain.phases.layout import Layout
from jaxtrain.phases.ledger import Ledger
from jaxtrain.phases.phased_config import PhasedConfig, is_phased
from jaxtrain.phases.replay import BASE
from jaxtrain.run.deciding import differing
from jaxtrain.run.found import find_checkpoint
from jaxtrain.run.resuming import Resume

logger = logging.getLogger(__name__)


def refuse_others(layout: Layout, resume: Resume) -> None:
    """See that the directory holds these phases, some phases, or nothing, as `resume` wants it.

    Raises:
        ConfigError: it holds something else.
    """
    there = layout.written.exists()
    if resume == "must" and not there:
        raise ConfigError(f"resume 'must': {layout.directory} holds no phases to continue")
    if resume == "never" and there:
        raise ConfigError(
            f"resume 'never': {layout.directory} holds phases; choose another workdir"
        )
    if there and not is_phased(load(layout.written)):
        raise ConfigError(f"{layout.directory}: holds another run; choose another workdir")
    if not there and layout.directory.exists() and any(layout.directory.iterdir()):
        ours = {".lock", *(one.name for one in unfinished(layout.directory, layout.written.name))}
        others = sorted({one.name for one in layout.directory.iterdir()} - ours)
        if others:
            raise ConfigError(
                f"{layout.directory}: holds {', '.join(others[:5])}, but no phases; choose "
                "another workdir"
            )


def refuse_changes(layout: Layout, ledger: Ledger) -> None:
    """See that what was trained, and tasks that were scored, are those of the config.

    Raises:
        ConfigError: they are not; by their keys.
        DataError: scores of a phase that is over are missing.
    """
    _refuse_other_order(layout, ledger)
    _refuse_other_phases(layout, ledger)
    _refuse_other_joint(layout)
    _refuse_other_tasks(layout)


def _refuse_other_order(layout: Layout, ledger: Ledger) -> None:
    done = tuple(entry.phase for entry in ledger.entries)
    if done != layout.config.names[: len(done)]:
        raise ConfigError(
            f"phases: {', '.join(done)} are over in {layout.directory}; expected the config to "
            f"begin with them, in this order, found {', '.join(layout.config.names)}"
        )
    for number, entry in enumerate(ledger.entries, start=1):
        if not layout.scores(number).exists():
            raise DataError(
                f"{layout.scores(number)}: is missing, though phase {entry.phase!r} is over"
            )


def _refuse_other_phases(layout: Layout, ledger: Ledger) -> None:
    """What is over is not trained again, so it has to be what the config says."""
    over = [entry.phase for entry in ledger.entries]
    if layout.scores(0).exists():
        if layout.config.base is None and (layout.directory / BASE).exists():
            raise ConfigError(
                f"base: {layout.directory / BASE} is what the phases there began with; expected "
                "the section that it was made by, found none"
            )
        over = [BASE, *over] if layout.config.base is not None else over
    wrong = []
    for name in over:
        directory = layout.run(name)
        if not directory.exists():
            if name == BASE:
                raise ConfigError(
                    f"base: the phases in {layout.directory} began without one, or it is gone; "
                    "leave it out, or choose another workdir"
                )
            logger.warning("%s: is gone; whether phase %s was as now is not known", directory, name)
            continue
        wrong += _differences(layout, name, f"phase {name}")
    if wrong:
        raise ConfigError(
            f"{layout.directory}: phases that are over were others; choose another workdir:\n  "
            + "\n  ".join(wrong)
        )


def _refuse_other_joint(layout: Layout) -> None:
    """It is of all phases, so one more makes it another; but nothing stands on it."""
    if layout.config.joint is None or not layout.scores(JOINT).exists():
        return
    directory = layout.run(JOINT)
    if not directory.exists():
        logger.warning("%s: is gone; whether it was trained as now is not known", directory)
        return
    wrong = _differences(layout, JOINT, JOINT)
    if wrong:
        raise ConfigError(
            f"{directory}: was trained on other phases, or in another way; take it and "
            f"{layout.scores(JOINT)} away to train it anew, leave joint out, or choose another "
            "workdir:\n  " + "\n  ".join(wrong)
        )


def _differences(layout: Layout, name: str, whose: str) -> list[str]:
    """A line for each key of a run that is over, and was another."""
    before = find_checkpoint(layout.run(name)).meta["config"]
    return [
        f"{whose}: {key}: {old!r} there, {new!r} now"
        for key, old, new in differing(before, layout.config_of(name))
    ]


def _refuse_other_tasks(layout: Layout) -> None:
    """A column of the matrix is of one test set: what was scored is what will be."""
    if not layout.scores(0).exists():
        return
    before = PhasedConfig.of(load(layout.written), plugins=layout.config.plugins)
    wrong = []
    for name in (*layout.config.names, *layout.config.untrained):
        if name not in (*before.names, *before.untrained):
            continue  # the matrix lacks it, and says so
        was = to_dict(before.task_of(name))
        wrong += [
            f"task {name}: {key}: {old!r} there, {new!r} now"
            for key, old, new in differing(was, layout.config.task_of(name))
            if key == "data" or key.startswith("data.")
        ]
    if wrong:
        raise ConfigError(
            f"{layout.directory}: tasks were scored already; choose another workdir:\n  "
            + "\n  ".join(wrong)
        )
