"""What three phases forget, without protection and with each kind of it, over several seeds.

The phases are those of configs/korean_medical.py; all kinds of a seed begin with the same base, and
so does a training on all of their rows at once, which stands beside the phases without protection.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.processes import OwnProcess

CONFIG = Path(__file__).parents[2] / "configs" / "korean_medical.py"
PHASES = ("korean", "medical", "questions")
NONE = "none"
JOINT = "joint"
# What is set for each phase; replay has nothing to replay in the first one.
KINDS: dict[str, list[str]] = {
    NONE: [],
    "replay": [f"phases.{name}.replay.share=0.3" for name in PHASES[1:]],
    "orthogonal": [f"phases.{name}.lora.protect.orthogonal=0.5" for name in PHASES],
    "previous_kl": [f"phases.{name}.lora.protect.previous_kl=1.0" for name in PHASES],
    "project": [f"phases.{name}.lora.protect.project=0.5" for name in PHASES],
}
FIGURES = (
    "average_accuracy",
    "joint_average",
    "backward_transfer",
    "general_ability",
    "control_loss",
)


def measure(
    directory: Path,
    *,
    seeds: int,
    kinds: list[str],
    overrides: list[str],
    cores: int | None = None,
    earlier: dict[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """The record after each run.

    Args:
        directory: where the runs go.
        seeds: how many.
        kinds: of `KINDS`.
        overrides: of the config, for all runs.
        cores: how many a run may use.
        earlier: a record whose other kinds are to be kept; see `beside`.
    """
    reports: dict[str, list[Any]] = {kind: [] for kind in kinds}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    if NONE in kinds:
        seconds[JOINT] = []
    for seed in range(seeds):
        with OwnProcess("base", cores=cores) as process:
            base = process.call(train_base, directory, seed, overrides)
        for kind in kinds:
            for which in (kind, JOINT) if kind == NONE else (kind,):
                began = time.perf_counter()
                with OwnProcess(which, cores=cores) as process:
                    # It comes behind the phases that are there, in their directory.
                    words = [*overrides, "joint=true"] if which == JOINT else overrides
                    report = process.call(train, directory, seed, kind, base, words)
                seconds[which].append(round(time.perf_counter() - began, 1))
            reports[kind].append(report)
            change = report["backward_transfer"]
            print(f"  seed {seed}, {kind}: BWT {change}", file=sys.stderr, flush=True)
            yield beside(record(reports, seconds), earlier)


def beside(found: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
    """`found`, with the kinds of `earlier` that it lacks, where both have the same scores of none.

    A seed gives the same scores whenever it is trained. Where it does not, since the config or the
    code are others now, kinds of two records can't stand in one table.
    """
    if earlier is None or _scores(found) is None or _scores(found) != _scores(earlier):
        return found
    return {part: {**earlier.get(part, {}), **own} for part, own in found.items()}


def _scores(found: dict[str, Any]) -> Any:
    return found["summary"].get(NONE, {}).get("scores")


def train_base(directory: Path, seed: int, overrides: list[str]) -> str:
    """The base of a seed, in its own process; gives its run directory."""
    from jaxtrain.phases import PhasedConfig
    from jaxtrain.run import Experiment, RunData, Task

    phased = PhasedConfig.of(CONFIG, [*roots(directory), f"seed={seed}", *overrides])
    run = directory / f"base{seed}"
    Experiment(Task.of(RunData.of(phased.config_of("base", workdir=str(run)))), run).train()
    return str(run)


def train(directory: Path, seed: int, kind: str, base: str, overrides: list[str]) -> dict[str, Any]:
    """The report of one run, in its own process."""
    from jaxtrain.phases import PhasedConfig, Progressive

    words = [f"seed={seed}", "base=null", f"start.path={base}", *KINDS[kind], *overrides]
    phased = PhasedConfig.of(CONFIG, [*roots(directory), *words])
    return Progressive(phased, directory / f"{kind}{seed}").train().to_json()


def roots(directory: Path) -> list[str]:
    """Where the made-up facts are written, and no hook that tells of each step."""
    data = directory / "data"
    return [
        *(f"phases.{name}.data.root={data}" for name in PHASES),
        f"retention.untrained.general.root={data}",
        f"retention.untrained.text.root={data}",
        *(f"base.data.parts.{part}.root={data}" for part in ("general", "hangul", "text")),
        *(f"hooks.{name}=null" for name in ("progress", "console", "csv", "tensorboard")),
    ]


def record(reports: dict[str, list[Any]], seconds: dict[str, list[float]]) -> dict[str, Any]:
    """The reports, and of kinds with two seeds or more what holds over them."""
    from jaxtrain.retention import RetentionReport, compared, summary

    made = {kind: [RetentionReport.from_json(one) for one in r] for kind, r in reports.items()}
    found: dict[str, Any] = {"seconds": seconds, "reports": reports, "summary": {}, "against": {}}
    for kind, own in made.items():
        if len(own) < 2:
            continue
        said = summary(own)
        found["summary"][kind] = {
            "scores": [{n: e.to_json() for n, e in row.items()} for row in said.scores],
            **{name: _json(getattr(said, name)) for name in FIGURES},
        }
        plain = made.get(NONE, [])[: len(own)]
        if kind != NONE and len(plain) == len(own):
            differences = compared(own, plain)
            found["against"][kind] = {n: e.to_json() for n, e in differences.items()}
    return found


def table(found: dict[str, Any]) -> list[str]:
    lines = ["phases: mean over seeds [95 % interval over seeds]; points, and nats of the last"]
    for kind, figures in found["summary"].items():
        lines.append(f"  {kind}")
        lines += [
            f"    {name:20}{_text(figures[name], nats=name == 'control_loss')}"
            for name in FIGURES
            if name != "joint_average" or figures[name] is not None
        ]
        other = found["against"].get(kind, {}).get("backward_transfer")
        if other:
            lines.append(f"    {'against none, BWT':20}{_text(other, nats=False)}")
    return lines


def _json(estimate: Any) -> Any:
    return None if estimate is None else estimate.to_json()


def _text(estimate: Any, *, nats: bool) -> str:
    if estimate is None:
        return "-"
    value, low, high = (x if nats else 100 * x for x in estimate)
    return f"{value:+8.2f} [{low:+.2f}, {high:+.2f}]"
