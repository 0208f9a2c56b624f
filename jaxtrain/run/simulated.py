"""A run on devices that are not there: its step, compiled for as many simulated ones.

    found = simulated(config, 256)
    found.mesh, found.needs.total, found.work.flops        # of one device
    found.collectives

It is compiled by another process, with so many devices on its CPU, and nothing runs there: no array
is made. Products and collectives are those that XLA's partitioner has made of the step, before any
backend changes them: in the run's own precision, and the same for all kinds of devices. Kernels
that a GPU or TPU alone has are not seen.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.config import ExperimentConfig, to_dict
from jaxtrain.config.schema import MeshSection
from jaxtrain.errors import ConfigError, JaxtrainError
from jaxtrain.parallel import Collective, Hlo, Work, collectives_of, work_of
from jaxtrain.run.needs import Needs

_PASS = "spmd-partitioning"
_BEGINS = "jaxtrain-simulated: "


@dataclass(frozen=True)
class Simulated:
    """What is known of a step without running it; figures are of one device.

    Attributes:
        mesh: parts by axis.
        layout: lines that say how the largest parameters lie, and what could not be divided.
        needs: bytes, by what they are for.
        work: of a step: products, and the bytes that they read and write.
        collectives: of a step; in groups of devices, numbered as in the mesh.
        temporary: bytes that the CPU's compiler takes for what comes and goes.
        seconds: how long it took to compile.
    """

    mesh: Mapping[str, int]
    layout: tuple[str, ...]
    needs: Needs
    work: Work
    collectives: tuple[Collective, ...]
    temporary: int
    seconds: float

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Simulated:
        """What `dataclasses.asdict` gave."""
        made = {
            "layout": tuple(found["layout"]),
            "needs": Needs(**found["needs"]),
            "work": Work(**found["work"]),
            "collectives": tuple(
                Collective(**{**one, "members": tuple(one["members"])})
                for one in found["collectives"]
            ),
        }
        return cls(**{**found, **made})


def simulated(config: ExperimentConfig, devices: int) -> Simulated:
    """Compile a step of a run for so many devices, none of which has to be there.

    Args:
        config: of the run; without a section `mesh` its rows are split over all devices.
        devices: how many.

    Raises:
        ConfigError: a number that can't be meant, or a config that does not fit so many.
    """
    if devices < 1:
        raise ConfigError(f"--devices: expected 1 or more, found {devices}")
    with tempfile.TemporaryDirectory(prefix="jaxtrain-plan-") as directory:
        flags = [
            os.environ.get("XLA_FLAGS", ""),
            f"--xla_force_host_platform_device_count={devices}",
            f"--xla_dump_to={directory}",
            f"--xla_dump_hlo_pass_re={_PASS}",
            "--xla_dump_hlo_as_text",
        ]
        asked = {
            "config": to_dict(config),
            "plugins": list(config.plugins),
            "directory": directory,
        }
        done = subprocess.run(
            [sys.executable, "-m", "jaxtrain.run.simulated"],
            input=json.dumps(asked),
            env={**os.environ, "XLA_FLAGS": " ".join(flags).strip(), "JAX_PLATFORMS": "cpu",
                 "JAX_ENABLE_COMPILATION_CACHE": "0"},
            capture_output=True,
            text=True,
        )  # fmt: skip
    said = [line for line in done.stdout.splitlines() if line.startswith(_BEGINS)]
    if done.returncode or not said:
        raise RuntimeError(
            f"the process that compiles for {devices} simulated devices ended with "
            f"{done.returncode}:\n{done.stderr[-4000:]}"
        )
    found = json.loads(said[-1].removeprefix(_BEGINS))
    if "error" in found:
        raise ConfigError(found["error"])
    return Simulated.from_json(found)


# -- in the other process --------------------------------------------------------------------------


def _compile(asked: Mapping[str, Any]) -> Simulated:
    import jax

    from jaxtrain.run.data import RunData
    from jaxtrain.run.layouts import layout_lines
    from jaxtrain.run.registries import make_config
    from jaxtrain.run.task import Task

    config = make_config(asked["config"], plugins=asked["plugins"])
    mesh = config.mesh or MeshSection()
    task = Task.of(RunData.of(config.model_copy(update={"device": "cpu", "mesh": mesh})))
    assert task.layout is not None
    state = task.abstract_state()
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    step = jax.jit(task.train_step, donate_argnums=0, out_shardings=(where, None))
    began = time.perf_counter()
    lowered = step.lower(state, task.loader.example())
    compiled = lowered.compile()
    seconds = time.perf_counter() - began
    memory = compiled.memory_analysis()
    assert memory is not None, "a CPU's compiler tells"
    parted = _partitioned(Path(asked["directory"]))
    hlo = Hlo.of(lowered.as_text("hlo") if parted is None else parted)
    return Simulated(
        mesh=dict(task.layout.mesh.shape),
        layout=tuple(layout_lines(task)),
        needs=Needs.of(task),
        work=work_of(hlo),
        collectives=tuple(collectives_of(hlo, scattered=True)),
        temporary=memory.temp_size_in_bytes,
        seconds=seconds,
    )


def _partitioned(directory: Path) -> str | None:
    """The step behind XLA's partitioner; of one device nothing is partitioned."""
    texts = [path.read_text() for path in directory.glob(f"*.after_{_PASS}.*.txt")]
    return max(texts, key=len, default=None)


def _main() -> None:
    asked = json.load(sys.stdin)
    try:
        found: dict[str, Any] = dataclasses.asdict(_compile(asked))
    except JaxtrainError as error:
        found = {"error": str(error)}
    print(_BEGINS + json.dumps(found))


if __name__ == "__main__":
    _main()
