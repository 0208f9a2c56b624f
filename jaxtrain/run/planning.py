"""What a run will do, before it does any of it; and, if asked, which form of dispatch is faster.

task = Task.of(RunData.of(config))
experiment = Experiment(task, state=task.abstract_state())
refuse_what_train_refuses(experiment)
print(describe_plan(experiment))
print(calibrate(task))
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import Any

import jax
import numpy as np

from jaxtrain.batch import MASK, ROW_MASK
from jaxtrain.checkpoint.saved import committed
from jaxtrain.config import ExperimentConfig
from jaxtrain.engine import Engine
from jaxtrain.engine.filters import (
    Always,
    Between,
    Every,
    EverySeconds,
    Filter,
    Once,
    Predicate,
)
from jaxtrain.engine.form import FORMS
from jaxtrain.optim import peak_rate
from jaxtrain.run.costs import memory_lines, speed_lines
from jaxtrain.run.data import RunData
from jaxtrain.run.experiment import Experiment
from jaxtrain.run.layouts import layout_lines
from jaxtrain.run.monitors import refuse_unknown_monitors
from jaxtrain.run.task import Task

_NOT_INPUTS = ("labels", MASK, ROW_MASK)
_ROUNDS = 5
_SECONDS_A_ROUND = 0.5


def refuse_what_train_refuses(experiment: Experiment) -> None:
    """Raise what `experiment.train()` would before it begins; nothing is touched.

    Raises:
        ConfigError: a monitor that nobody provides, a directory that holds another run, or another
            model's parameters to begin with.
    """
    refuse_unknown_monitors(experiment.config, experiment.trainer, experiment.task.metrics())
    experiment.directory.refuse_others(experiment.config)
    if not committed(experiment.directory.checkpoints):  # else it goes on, with its own
        experiment.task.parameters.refuse_others(experiment.task.abstract_state())


def describe_plan(experiment: Experiment) -> str:
    """Data, model, events, dispatches, compilations, operations and memory of the run, as lines.

    Args:
        experiment: its state may be one of shapes alone; it is not run.
    """
    config, engine, loader = experiment.config, experiment.trainer, experiment.loader
    steps = loader.steps_per_epoch
    total = steps * config.train.epochs
    engine.choose_form(loader)
    lines = [
        *_data_lines(experiment.task.data),
        *_remark_lines(experiment.task.data),
        *_model_lines(experiment.task),
        *layout_lines(experiment.task),
        *_rate_lines(config),
        f"length     {config.train.epochs} epochs of {steps:,} iterations: {total:,}",
        f"form       {engine.form} ({_why(engine)})",
        *_event_lines(engine),
        *_dispatch_lines(engine, steps, total),
        "compiled   once for the training step, whatever the lengths of its dispatches",
        *speed_lines(experiment.task),
        *memory_lines(experiment.task, lambda: engine.compiled(loader)),
    ]
    return "\n".join(lines)


def calibrate(task: Task) -> str:
    """Time the forms on real steps, in turn and several times.

    Returns:
        A line for each form, and the line to put into the config.
    """
    rates: dict[str, list[float]] = {form: [] for form in FORMS}
    engines = {form: _engine(task, form) for form in FORMS}
    lengths = {form: _steps_for(engine, task) for form, engine in engines.items()}
    for _ in range(_ROUNDS):
        for form, engine in engines.items():
            rates[form].append(_rate(engine, task, lengths[form]))
    medians = {form: statistics.median(found) for form, found in rates.items()}
    lines = [
        f"{form:9}  {medians[form]:,.0f} steps/s (median of {_ROUNDS}, from "
        f"{min(found):,.0f} to {max(found):,.0f})"
        for form, found in rates.items()
    ]
    best = max(medians, key=lambda form: medians[form])
    return "\n".join([*lines, f"to pin it: train.form={best}"])


# -- the lines of the plan -----------------------------------------------------------------------


def _data_lines(data: RunData) -> list[str]:
    train, section = data.train, data.config.data
    rows = ", ".join(f"{len(split):,} {name}" for name, split in data.sets.items())
    example = {n: list(x.shape[1:]) for n, x in data.example().items() if n not in _NOT_INPUTS}
    shapes = [f"{shape}" if n == "inputs" else f"{n} {shape}" for n, shape in example.items()]
    ragged = len(train) % section.batch_size
    fate = {"pad": "padded", "drop": "dropped"}[section.last_batch]
    return [
        f"data       {train.name}: {rows} rows of {', '.join(shapes)}, "
        f"{train.num_outputs} {'tokens to say' if train.task == 'language' else 'outputs'}",
        f"batches    of {section.batch_size}"
        + (f"; the last has {ragged} rows and is {fate}" if ragged else ""),
    ]


def _remark_lines(data: RunData) -> list[str]:
    return [f"REMARK     {finding.name}: {finding.detail}" for finding in data.remarks]


def _model_lines(task: Task) -> list[str]:
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): int(np.prod(leaf.shape))
        for path, leaf in jax.tree_util.tree_leaves_with_path(task.abstract_state().params)
    }
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    shown = ", ".join(f"{name} {sizes[name]:,}" for name in largest)
    decided = [f"{name:10} {what}" for name, what in task.facts().items()]
    counted = f"{sum(sizes.values()):,} parameters ({shown})"
    return [f"model      {task.config.model.name}: {counted}", *decided]


def _rate_lines(config: ExperimentConfig) -> list[str]:
    scaling, batch_size = config.optimizer.batch_scaling, config.data.batch_size
    if scaling is None:
        return []
    return [
        f"rate       {peak_rate(config.optimizer, batch_size):g} at its peak: "
        f"{config.optimizer.learning_rate:g} for batches of {scaling.base}, "
        f"{scaling.rule.replace('_', ' ')} to {batch_size}"
    ]


def _why(engine: Engine) -> str:
    if engine.form == "single":
        return "a dispatch for each step"
    return "a loop of steps on the device"


def _event_lines(engine: Engine) -> list[str]:
    lines = [
        f"           {handler.event.name} {_in_words(handler.event.filter)}: {handler.name}"
        for handler in engine.plan.observed()
    ]
    return ["observed   in iterations by", *lines] if lines else ["observed   no iteration"]


def _dispatch_lines(engine: Engine, steps: int, total: int) -> list[str]:
    if engine.form == "single":
        return [f"dispatches {total:,} of 1 iteration"]
    planned = list(engine.plan.dispatches(0, min(total, 2 * steps), epoch_length=steps))
    first_epoch = [p for p in planned if p.first <= steps]
    lengths = Counter(p.length for p in first_epoch)
    shown = ", ".join(f"{count} of {length}" for length, count in lengths.most_common(6))
    more = "" if len(lengths) <= 6 else f" and {len(lengths) - 6} other lengths"
    lines = [f"dispatches in the first epoch: {shown}{more} (shorter where one takes over 0.25 s)"]
    blame = Counter(name for p in first_epoch for name in p.by)
    lines += [f"           {count} end where {name} looks" for name, count in blame.most_common(4)]
    return [line.replace("where the epoch's end looks", "with the epoch") for line in lines]


def _in_words(chosen: Filter) -> str:
    match chosen:
        case Always():
            return "every time"
        case Every(n=n):
            return f"every {n}"
        case Between(after=after, before=before):
            return f"after {after} and before {before}"
        case Once(counts=counts):
            return f"at {', '.join(map(str, counts))}"
        case EverySeconds(seconds=seconds):
            return f"every {seconds:g} s"
        case Predicate():
            return "each time, to ask a predicate"
    return repr(chosen)


# -- timing --------------------------------------------------------------------------------------


def _engine(task: Task, form: Any) -> Engine:
    engine = Engine(task.train_step, task.fresh_state(), form=form)
    engine.add_metrics(task.train_metrics())
    return engine


def _steps_for(engine: Engine, task: Task) -> int:
    """Steps that take about half a second; the first run compiles."""
    steps = 4
    while True:
        seconds = steps / _rate(engine, task, steps)
        if seconds > _SECONDS_A_ROUND / 4 or steps > 10**6:
            return max(1, round(steps * _SECONDS_A_ROUND / seconds))
        steps *= 4


def _rate(engine: Engine, task: Task, steps: int) -> float:
    """Steps a second over `steps` steps, until the last is done."""
    engine.reset()
    began = time.perf_counter()
    state = engine.run(task.loader, max_iters=steps, epoch_length=steps)
    jax.block_until_ready(state.train_state)
    return steps / (time.perf_counter() - began)
