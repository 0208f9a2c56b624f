"""One line an epoch on standard output.

    epoch  3/10 | train: loss 0.1234, accuracy 0.9612 | val: loss 0.1411, accuracy 0.9583 | ...

`trainer.attach(Console())` is all it takes.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import epoch_figures


@HOOKS.register("console")
class Console:
    """Prints every metric of an epoch, the learning rate, and the steps a second.

    The speed is that of the training alone, without validation.
    """

    tells = True

    def __init__(self) -> None:
        self._first = 0  # the iteration after which this process began to work on the epoch

    def attach(self, engine: Engine) -> None:
        """Subscribe, after everything that adds metrics."""
        # RESUMED too: a run may go on in the middle of an epoch.
        begins = Events.STARTED | Events.RESUMED | Events.EPOCH_STARTED
        engine.attach_handler(begins, self._begin)
        engine.attach_handler(Events.EPOCH_COMPLETED, self._print, needs=(EPOCH_METRICS,))

    def _begin(self, engine: Engine) -> None:
        self._first = engine.state.iteration

    def _print(self, engine: Engine) -> None:
        state = engine.state
        total = "" if state.max_epochs is None else f"/{state.max_epochs}"
        figures = epoch_figures(engine)
        rate = figures.pop("learning_rate", engine.scalars().get("learning_rate"))
        parts = [f"epoch {state.epoch:>{max(len(total) - 1, 1)}}{total}", *_groups(figures)]
        if rate is not None:
            parts.append(f"lr {rate:.3g}")
        steps = state.iteration - self._first
        seconds = state.times["EPOCH_COMPLETED"]
        if steps and seconds > 0:
            parts.append(speed(steps, seconds))
        print(" | ".join(parts), flush=True)


def figure(value: float) -> str:
    """A number as a person reads it: four digits, or all that stand before the point.

    >>> figure(0.96123), figure(1.0), figure(0.001), figure(3e-7), figure(12345.6), figure(2e9)
    ('0.9612', '1.0000', '0.0010', '3.000e-07', '12,345.6', '2.000e+09')
    """
    if 1e4 <= abs(value) < 1e9:
        return f"{value:,.1f}"  # an error in the unit of the data: a price, say
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.4f}" if plain else f"{value:.3e}"


def speed(steps: int, seconds: float) -> str:
    """How fast it goes, as a person reads it.

    >>> speed(8123, 1.0), speed(70, 2.0), speed(7, 2.0), speed(2, 5.0), speed(3, 100.0)
    ('8,123 steps/s', '35 steps/s', '3.5 steps/s', '0.4 steps/s', '0.03 steps/s')
    """
    rate = steps / seconds
    return f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"


def _groups(metrics: Mapping[str, float]) -> list[str]:
    """`{"train/loss": 1, "val/loss": 2}` -> `["train: loss 1.0000", "val: loss 2.0000"]`."""
    groups: dict[str, list[str]] = {}
    for name, value in metrics.items():
        group, _, short = name.rpartition("/")
        groups.setdefault(group, []).append(f"{short.replace('_', ' ')} {figure(value)}")
    return [
        f"{group}: {', '.join(members)}" if group else ", ".join(members)
        for group, members in groups.items()
    ]
