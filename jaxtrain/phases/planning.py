"""What the phases of a config will do, before any of them begins.

print(describe_phases(Progressive(phased)))
"""

from __future__ import annotations

from collections.abc import Iterator

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
    """Each phase: what it begins with and trains, and the plan of its run; then what is scored."""
    config = progressive.config
    done = {entry.phase for entry in progressive.ledger().entries}
    names = config.every
    lines = [f"phases     {', '.join(names)}"]
    before = "what the config says"
    for name in names:
        own = config.config_of(name)
        with config.told(name):
            task = Task.of(RunData.of(own))
        lines += ["", f"phase      {name}{', which is over' if name in done else ''}"]
        lines.append(f"begins     with {before}")
        lines += _of_adapter(config, name)
        experiment = Experiment(task, progressive.run_directory(name), state=task.abstract_state())
        lines.append(describe_plan(experiment))
        before = f"what {name} has made"
    suites = ", ".join(config.untrained) or "none: what else the base could do is not measured"
    lines += ["", f"scored     after each phase: {', '.join(config.names)}; untrained: {suites}"]
    return "\n".join(lines)


def _of_adapter(config: PhasedConfig, name: str) -> Iterator[str]:
    own = config.config_of(name)
    if own.lora is None:
        yield "trains     all parameters"
        return
    section = own.lora
    kind = " ".join(word for word in ("rslora", "dora") if getattr(section, word))
    yield f"trains     an adapter of rank {section.rank}, alpha {section.alpha:g} {kind}".rstrip()
    found = [words for key, words in _PROTECTIONS.items() if getattr(section.protect, key)]
    if own.data.name == "mixture":
        found.append(f"{getattr(own.data, 'share', 0):.0%} of its rows are of earlier phases")
    if found:
        yield f"protects   {'; '.join(found)}"
