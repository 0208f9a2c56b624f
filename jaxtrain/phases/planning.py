"""What the phases of a config will do, before any of them begins.

print(describe_phases(Progressive(phased)))
"""

from __future__ import annotations

from collections.abc import Iterator

from jaxtrain.config import ExperimentConfig
from jaxtrain.phases.joint import JOINT
from jaxtrain.phases.joint_run import joint_config
from jaxtrain.phases.phased_config import PhasedConfig
from jaxtrain.phases.progressive import Progressive
from jaxtrain.run import Experiment, RunData, Task
from jaxtrain.run.planning import describe_plan

_PROTECTIONS = {
    "orthogonal": "orthogonal to earlier adapters",
    "previous_kl": "near to what the base says",
    "project": "away from the base's first singular directions",
}


def describe_phases(progressive: Progressive) -> str:
    """Each run: what it begins with and trains, and its plan; then what is scored."""
    config = progressive.config
    done = {entry.phase for entry in progressive.ledger().entries}
    names = config.every
    lines = [f"phases     {', '.join(names)}"]
    before = "what the config says"
    for name in names:
        lines += ["", f"phase      {name}{', which is over' if name in done else ''}"]
        lines += _of_run(progressive, name, config.config_of(name), before)
        before = f"what {name} has made"
    if config.joint is not None:
        over = ", which is over" if progressive.layout.scores(JOINT).exists() else ""
        lines += ["", f"joint      all tasks at once{over}"]
        start = "what base has made" if config.base is not None else "what the config says"
        lines += _of_run(progressive, JOINT, joint_config(config), start)
    suites = ", ".join(config.untrained) or "none: what else the base could do is not measured"
    when = "after each phase" + (" and the joint training" if config.joint is not None else "")
    lines += ["", f"scored     {when}: {', '.join(config.names)}; untrained: {suites}"]
    return "\n".join(lines)


def _of_run(
    progressive: Progressive, name: str, own: ExperimentConfig, begins: str
) -> Iterator[str]:
    with progressive.config.told(name):
        task = Task.of(RunData.of(own))
    yield f"begins     with {begins}"
    yield from _of_adapter(progressive.config, name, own)
    experiment = Experiment(task, progressive.run_directory(name), state=task.abstract_state())
    yield describe_plan(experiment)


def _of_adapter(config: PhasedConfig, name: str, own: ExperimentConfig) -> Iterator[str]:
    if own.lora is None:
        yield "trains     all parameters"
        return
    section = own.lora
    kind = " ".join(word for word in ("rslora", "dora") if getattr(section, word))
    yield f"trains     an adapter of rank {section.rank}, alpha {section.alpha:g} {kind}".rstrip()
    found = [words for key, words in _PROTECTIONS.items() if getattr(section.protect, key)]
    if any(phase.name == name and phase.replay is not None for phase in config.phases):
        found.append(f"{getattr(own.data, 'share', 0):.0%} of its rows are of earlier phases")
    if found:
        yield f"protects   {'; '.join(found)}"
