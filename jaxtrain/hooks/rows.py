"""What one iteration and one epoch have to tell, as flat rows: every log writes the same ones.

    iteration_row(engine)   # {"epoch": 1, "iteration": 100, "loss": 0.41, "grad_norm": 1.2, ...}
    epoch_row(engine)       # {"epoch": 1, "iteration": 900, "train/loss": 0.3, "val/loss": 0.2}

Rows hold no wall-clock time: a run that was stopped and resumed must write exactly the rows of one
that was not.
"""

from __future__ import annotations

from typing import Any

from jaxtrain.engine import Engine, EngineState
from jaxtrain.tracking.rows import BOUND, is_count

Row = dict[str, int | float]

# Parts of other figures: the loss is loss_sum / loss_weight, and `finite` has its own hook.
_PARTS = frozenset({"loss_sum", "loss_weight", "finite"})


def step_scalars(engine: Engine) -> dict[str, float]:
    """The scalars of the last step that say something by themselves. Reads the device.

    What a host step returns besides numbers (a name, None) is no figure.
    """
    figures = {k: v for k, v in engine.scalars().items() if isinstance(v, int | float)}
    return _loss_first({k: float(v) for k, v in figures.items() if k not in _PARTS})


def iteration_row(engine: Engine) -> Row:
    """`epoch`, `iteration` and the scalars of the step. Reads the device."""
    state = engine.state
    return {"epoch": state.epoch, "iteration": state.iteration, **step_scalars(engine)}


def epoch_figures(engine: Engine) -> dict[str, float]:
    """The metrics of the epoch that are single numbers; a confusion matrix is not."""
    return _loss_first(
        {k: v for k, v in engine.state.metrics.items() if isinstance(v, int | float)}
    )


def epoch_row(engine: Engine) -> Row:
    """`epoch`, `iteration` and the metrics of the epoch."""
    state = engine.state
    return {"epoch": state.epoch, "iteration": state.iteration, **epoch_figures(engine)}


def is_figure(value: Any) -> bool:
    """Whether it can be a figure, as one finds it in a file."""
    return isinstance(value, float) or (isinstance(value, int) and -BOUND < value < BOUND)


def is_row(row: Any) -> bool:
    """Whether it can be the row of an epoch, as one finds it in a file."""
    return (
        isinstance(row, dict)
        and is_count(row.get("epoch"))
        and is_count(row.get("iteration"))
        and all(isinstance(name, str) and is_figure(value) for name, value in row.items())
    )


def completed_epochs(state: EngineState) -> int:
    """How many epochs are over: the one that is open does not count.

    Together with `state.iteration` this says which rows of an older, killed process a resumed run
    is not going to write again.
    """
    return state.epoch - state.epoch_open


def _loss_first(figures: dict[str, float]) -> dict[str, float]:
    """What has passed through a jitted function comes out sorted by name: accuracy before loss."""
    return dict(sorted(figures.items(), key=lambda item: item[0].split("/")[-1] != "loss"))
