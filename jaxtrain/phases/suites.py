"""The untrained suites of phases, looked at before anything is trained.

    for name, finding in check_suites(phased):
        print(name, finding.ok, finding.detail)

They are asked for the first time when the base is trained; what is wrong with them is told before.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax

from jaxtrain.blame import in_a_line
from jaxtrain.config import ExperimentConfig
from jaxtrain.data import Finding, Rows, check_dataset
from jaxtrain.phases.phased_config import PhasedConfig
from jaxtrain.run import RunData, Task
from jaxtrain.run.data import evaluation_loader, read_splits
from jaxtrain.step import forward


def check_suites(config: PhasedConfig) -> Iterator[tuple[str, Finding]]:
    """The findings of each suite: its test rows, and whether the phases' model can be asked them.

    Raises:
        ConfigError: the data of a suite, or of the first run, are missing.
        DataError: they can't be read.
    """
    if not config.untrained:
        return
    first = config.config_of(config.every[0])
    task = Task.of(RunData.of(first.model_copy(update={"lora": None})))
    for name in config.untrained:
        own = config.task_of(name)
        rows = read_splits(own).sets.get("test")
        if rows is None:
            yield name, Finding("test rows", False, "there are none, on which it is scored")
            continue
        for finding in check_dataset(rows):
            yield name, Finding(f"test {finding.name}", finding.ok, finding.detail)
        kind = _kind(rows, task.data.train)
        yield name, kind
        if kind.ok:
            yield name, _fits(rows, own, task)


def _kind(rows: Rows, learnt: Rows) -> Finding:
    found, wanted = (f"a {x.task} with {x.num_outputs} outputs" for x in (rows, learnt))
    if rows.task == "regression":
        return Finding("test kind", False, f"{found}; what is scored has a right and a wrong")
    if found != wanted:
        return Finding("test kind", False, f"{found}; expected that of the first run, {wanted}")
    return Finding("test kind", True, found)


def _fits(rows: Rows, config: ExperimentConfig, task: Task) -> Finding:
    """Whether the model takes its batches; nothing is computed."""
    name, run = "fits the model", forward(task.model, config.precision)
    batch = evaluation_loader(config, rows).example()
    try:
        jax.eval_shape(
            lambda state, batch: run(state.variables(), batch, train=False).outputs,
            task.abstract_state(),
            batch,
        )
    except Exception as error:  # whatever somebody's model says to rows of another form
        return Finding(name, False, in_a_line(error))
    return Finding(name, True, f"{task.config.model.name}")
