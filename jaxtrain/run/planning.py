"""What a run will do, before it does any of it; and, if asked, which form of dispatch is faster.

    print(describe_plan(Experiment(config, abstract=True)))
    print(calibrate(Experiment(config)))

`python -m jaxtrain.main plan --config FILE` prints the first, with `--calibrate` both.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import Any

import jax
import numpy as np

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
from jaxtrain.run.experiment import Experiment

_ROUNDS = 5
_SECONDS_A_ROUND = 0.5


def describe_plan(experiment: Experiment) -> str:
    """Data, model, events, dispatches, compilations and memory of the run, as lines of text.

    Args:
        experiment: its hooks are attached (`Experiment.attach`); its state may be one of
            shapes alone.
    """
    config, engine, loader = experiment.config, experiment.trainer, experiment.loader
    steps = loader.steps_per_epoch
    total = steps * config.train.epochs
    executable = engine.compiled(loader)
    lines = [
        *_data_lines(experiment),
        *_model_lines(experiment),
        f"length     {config.train.epochs} epochs of {steps:,} iterations: {total:,}",
        f"form       {engine.form} ({_why(engine)})",
        *_event_lines(engine),
        *_dispatch_lines(engine, steps, total),
        "compiled   once for the training step, whatever the lengths of its dispatches",
        *_memory_lines(executable),
    ]
    return "\n".join(lines)


def calibrate(experiment: Experiment) -> str:
    """Time the forms on real steps, in turn and several times.

    Returns:
        A line for each form, and the line to put into the config.
    """
    rates: dict[str, list[float]] = {form: [] for form in FORMS}
    engines = {form: _engine_like(experiment, form) for form in FORMS}
    lengths = {}
    for form, engine in engines.items():
        lengths[form] = _steps_for(engine, experiment)
    for _ in range(_ROUNDS):
        for form, engine in engines.items():
            rates[form].append(_rate(engine, experiment, lengths[form]))
    medians = {form: statistics.median(found) for form, found in rates.items()}
    lines = [
        f"{form:9}  {medians[form]:,.0f} steps/s (median of {_ROUNDS}, from "
        f"{min(found):,.0f} to {max(found):,.0f})"
        for form, found in rates.items()
    ]
    best = max(medians, key=lambda form: medians[form])
    return "\n".join([*lines, f"to pin it: --config.train.form={best}"])


# -- the lines of the plan -----------------------------------------------------------------------


def _data_lines(experiment: Experiment) -> list[str]:
    splits = experiment.splits
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    rows = ", ".join(f"{len(d):,} {name}" for name, d in parts.items() if d is not None)
    shape = list(splits.train.inputs.shape[1:])
    data = experiment.config.data
    ragged = len(splits.train) % data.batch_size
    last = f"; the last has {ragged} rows and is {data.last_batch}ped" if ragged else ""
    last = last.replace("padped", "padded").replace("dropped", "dropped")
    return [
        f"data       {splits.train.name}: {rows} rows of {shape}, "
        f"{splits.train.num_outputs} outputs",
        f"batches    of {data.batch_size}{last}",
    ]


def _model_lines(experiment: Experiment) -> list[str]:
    params = experiment.trainer.state._train_state.params
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): int(np.prod(leaf.shape))
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    shown = ", ".join(f"{name} {sizes[name]:,}" for name in largest)
    return [
        f"model      {experiment.config.model.name}: {sum(sizes.values()):,} parameters ({shown})"
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


def _memory_lines(executable: Any) -> list[str]:
    found = executable.memory_analysis()
    if found is None:
        return ["memory     this platform says nothing about it"]
    sizes = {
        "arguments": found.argument_size_in_bytes,
        "outputs": found.output_size_in_bytes,
        "of those the same": found.alias_size_in_bytes,
        "temporary": found.temp_size_in_bytes,
    }
    return ["memory     " + ", ".join(f"{size / 2**20:,.1f} MiB {k}" for k, size in sizes.items())]


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


def _engine_like(experiment: Experiment, form: Any) -> Engine:
    engine = Engine(experiment.train_step, experiment.initial_state(), form=form)
    engine.add_metrics(experiment.metrics())
    return engine


def _steps_for(engine: Engine, experiment: Experiment) -> int:
    """Steps that take about half a second; the first run compiles."""
    steps = 4
    while True:
        seconds = steps / _rate(engine, experiment, steps)
        if seconds > _SECONDS_A_ROUND / 4 or steps > 10**6:
            return max(1, round(steps * _SECONDS_A_ROUND / seconds))
        steps *= 4


def _rate(engine: Engine, experiment: Experiment, steps: int) -> float:
    """Steps a second over `steps` steps, until the last is done."""
    began = time.perf_counter()
    state = engine.run(experiment.loader, max_iters=steps, epoch_length=steps)
    jax.block_until_ready(state._train_state)
    return steps / (time.perf_counter() - began)
