"""`python -m benchmarks whole`: from the start of a process to a result, as a user meets it.

    python -m benchmarks whole
    python -m benchmarks whole --models mlp --rounds 3 --frameworks jaxtrain keras
    python -m benchmarks whole --out benchmarks/results/whole.json

MNIST to 98 % (MLP) and 99 % (CNN) of its 10,000 test images: jaxtrain by its command line and a
config, Lightning, Ignite and Keras (on JAX) by a script each (`benchmarks/runs`). All train the
same layers, with the same optimizer, schedule and batch, show their progress on a terminal,
validate after each epoch, keep checkpoints of the best and the last and write their figures to a
CSV file; each ends behind the first epoch whose accuracy is there. Layers begin as each framework
has them begin.

What is timed is the whole process, imports and all, until it has ended; beside the clock's stand
seconds of all cores together, which what else the machine does hardly changes. Frameworks take
turns, and all have the same seed in a round: 0 in the first, 1 in the second. A figure is the
median of the rounds; beside it stand the epochs that were needed, since a seed may be slow. "second
start" is jaxtrain where JAX keeps what it has compiled (`JAX_COMPILATION_CACHE_DIR`), and has
compiled it before. Once more, with clocks around its parts and not timed, a run of ours says where
its seconds go.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pty
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from benchmarks.processes import REST_SECONDS
from benchmarks.runs import SETTINGS, Setting
from benchmarks.runs.with_jaxtrain import command_of, figures_of, words_for
from jaxtrain.files import replacing

ROOT = Path(__file__).parents[1]
PACKAGES = ["jaxtrain", "jax", "jaxlib", "flax", "optax", "numpy"]
PACKAGES += ["torch", "lightning", "pytorch-ignite", "keras"]

OURS, CACHED = "jaxtrain", "jaxtrain, second start"
SCRIPTS = {
    "lightning": ("with_lightning", ("torch", "lightning")),
    "ignite": ("with_ignite", ("torch", "ignite", "tqdm")),
    "keras": ("with_keras", ("keras",)),
}
"""By name: the script, and what it needs."""
FRAMEWORKS = (OURS, CACHED, *SCRIPTS)

# A user's Python keeps the bytecode of what it imports, and so does that of all who are timed.
_KEEPS_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}

Run = dict[str, float]


class RunFailed(RuntimeError):
    """A process ended with an error; the message has the end of what it said."""


def main(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text())
    for model in options.models:
        setting = SETTINGS[model]
        if options.target is not None:
            setting = dataclasses.replace(setting, target=options.target)
        facts = {
            "machine": machine_facts(PACKAGES),
            "sizes": dataclasses.asdict(setting),
            "rounds": options.rounds,
        }
        for found in measure(
            setting, options.data, frameworks=options.frameworks, rounds=options.rounds
        ):
            record[model] = {**facts, **found}
            if options.out is not None:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                with replacing(options.out) as temporary:
                    temporary.write_text(json.dumps(record, indent=1) + "\n")
        print("\n".join(table(model, record[model])), flush=True)
    if options.out is not None:
        print(f"written: {options.out}")


def measure(
    setting: Setting, data: Path, *, frameworks: Sequence[str], rounds: int
) -> Iterator[dict[str, Any]]:
    """The record after each round, and with the stages of ours at the end.

    Args:
        setting: what is trained, and until when.
        data: the directory of the four files of MNIST, each as `.gz`.
        frameworks: of `FRAMEWORKS`.
        rounds: how many times each has its turn.

    Raises:
        RunFailed: a process ended with an error.
    """
    left_out = {
        name: f"not installed: {', '.join(absent)} (the extra 'peers' has them)"
        for name, (_, needs) in SCRIPTS.items()
        if name in frameworks and (absent := [one for one in needs if find_spec(one) is None])
    }
    chosen = [name for name in frameworks if name not in left_out]
    measured: dict[str, list[Run]] = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for framework in chosen:  # its bytecode, and the disk's cache; of CACHED its programs
            _say(f"{setting.model}: {framework} warms up")
            easy = dataclasses.replace(setting, target=0.0)
            one_run(framework, easy, 0, data, place / "first", cache=place / "cache")
        for number in range(rounds):
            for framework in chosen:
                time.sleep(REST_SECONDS)
                out = place / f"{number}-{framework.replace(', ', '-').replace(' ', '-')}"
                found = one_run(framework, setting, number, data, out, cache=place / "cache")
                _say(
                    f"{setting.model}, round {number + 1}: {framework} {found['seconds']:.1f} s, "
                    f"{found['epochs']} epochs, {100 * found['accuracy']:.2f} %"
                )
                measured[framework].append(found)
            yield {"runs": measured, "ratios": ratios(measured), "left_out": left_out}
        stages = {
            framework: stages_of(setting, data, place / f"stages-{number}", cache)
            for number, (framework, cache) in enumerate(((OURS, None), (CACHED, place / "cache")))
            if framework in chosen
        }
        yield {
            "runs": measured,
            "ratios": ratios(measured),
            "left_out": left_out,
            "stages": stages,
        }


def one_run(
    framework: str, setting: Setting, seed: int, data: Path, out: Path, *, cache: Path
) -> Run:
    """Seconds of a whole process, with the epochs and the accuracy that it came to.

    Args:
        framework: of `FRAMEWORKS`.
        setting: what is trained, and until when.
        seed: of the run.
        data: the directory of the files.
        out: where the run writes.
        cache: where `CACHED` keeps what was compiled; nobody else does.
    """
    out = out / framework.split(",")[-1].strip()
    if framework in SCRIPTS:
        module = f"benchmarks.runs.{SCRIPTS[framework][0]}"
        command = [sys.executable, "-m", module]
        command += ["--model", setting.model, "--target", str(setting.target)]
        command += ["--seed", str(seed), "--data", str(data), "--out", str(out)]
    else:
        command = command_of(setting, seed, data, out)
    took = on_a_terminal(command, _kept_in(cache) if framework == CACHED else {})
    if framework in SCRIPTS:
        found = json.loads((out / "figures.json").read_text())
    else:
        found = figures_of(out)
    return {**took, **found}


def stages_of(setting: Setting, data: Path, out: Path, cache: Path | None) -> dict[str, float]:
    """Where the seconds of a run of ours go, by part; see `benchmarks.runs.stages`."""
    file = out / "stages.json"
    words = words_for(setting, 0, data, out)
    command = [sys.executable, "-m", "benchmarks.runs.stages", str(file), *words]
    took = on_a_terminal(command, {} if cache is None else _kept_in(cache))
    found: dict[str, float] = json.loads(file.read_text())
    outside = took["seconds"] - found.pop("in all")
    return found | {"start and end of the process": outside}


def on_a_terminal(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """How long a process takes from its start to its end; it sees a terminal, so that bars move.

    Returns:
        `seconds` by the clock, and of all cores together, `processor`.

    Raises:
        RunFailed: it ended with an error.
    """
    variables = {**os.environ, **_KEEPS_BYTECODE, **environment}
    variables = {name: value for name, value in variables.items() if value}
    ours, theirs = pty.openpty()
    said = bytearray()
    began, before = time.perf_counter(), _processor_seconds()
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            while read := _read(ours):
                said += read
                del said[:-4000]
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(ours)
    seconds = time.perf_counter() - began
    if code:
        raise RunFailed(f"{' '.join(command)}: ended with {code}\n{said.decode(errors='replace')}")
    return {"seconds": seconds, "processor": _processor_seconds() - before}


def ratios(measured: Mapping[str, Sequence[Run]]) -> dict[str, float]:
    """How many times as long as ours each other took; medians within the rounds.

    >>> runs = {"jaxtrain": [{"seconds": 2.0}, {"seconds": 4.0}]}
    >>> ratios(runs | {"keras": [{"seconds": 6.0}, {"seconds": 8.0}]})
    {'keras': 2.5}
    """
    ours = measured.get(OURS, ())
    return {
        name: statistics.median(
            b["seconds"] / a["seconds"] for a, b in zip(ours, found, strict=True)
        )
        for name, found in measured.items()
        if name != OURS and ours
    }


def table(model: str, record: Mapping[str, Any]) -> list[str]:
    """What is printed of a model."""
    target = record["sizes"]["target"]
    lines = [
        f"{model}: seconds to {100 * target:g} % by the clock (times as long as ours), of all "
        "cores; epochs of each seed"
    ]
    for name, runs in record["runs"].items():
        ratio = record["ratios"].get(name)
        behind = "" if ratio is None else f" ({ratio:.2f}×)"
        short = sum(run["accuracy"] < target for run in runs)
        missed = f"; {short} of {len(runs)} did not get there" if short else ""
        median, cores = (statistics.median(r[k] for r in runs) for k in ("seconds", "processor"))
        epochs = ", ".join(str(run["epochs"]) for run in runs)
        lines.append(f"  {name:26}{median:7.1f} s{behind:9}{cores:7.1f} s  {epochs} epochs{missed}")
    lines += [f"  {name}: left out, {why}" for name, why in record["left_out"].items()]
    for name, parts in record.get("stages", {}).items():
        lines.append(f"  where the seconds of {name} go:")
        lines += [f"    {part:28}{seconds:7.2f} s" for part, seconds in parts.items()]
    return lines


def _kept_in(cache: Path) -> dict[str, str]:
    """Variables by which JAX keeps all that it compiles."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _processor_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read(terminal: int) -> bytes:
    """What is said next; nothing where the process has ended, which Linux calls an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks whole", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--models", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=list(FRAMEWORKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("JAXTRAIN_TEST_DATA", ROOT.parent / "shared/data")) / "mnist",
        help="the directory of the four .gz files",
    )
    parser.add_argument("--target", type=float, help="of the accuracy, in the place of its own")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser
