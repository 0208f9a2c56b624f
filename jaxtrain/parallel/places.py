"""Places: which process of how many this one is, by its environment or its config.

    place_of(None, {"SLURM_JOB_ID": "7", ...})       # as SLURM says, for JAX to read itself
    place_of(None, {})                               # None: one process, alone
    place_of(Section(coordinator="a:1", processes=2, process=0), {})

| who started it | what it sets |
|---|---|
| `srun` | SLURM_JOB_ID, SLURM_STEP_NODELIST, SLURM_NTASKS, SLURM_PROCID, SLURM_LOCALID |
| `mpirun` (Open MPI) | OMPI_COMM_WORLD_SIZE, ..._RANK, ..._LOCAL_RANK; up to 4 an URI, see below |
| Indexed Job of Kubernetes | JOB_COMPLETION_INDEX; its manifest sets the first two below |
| `launch`, anybody | JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID |

What is set by half starts nothing: it is told. The config's section says more than the environment,
key by key. `{processes: 1}` is one process alone, whatever the environment says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from jaxtrain.errors import ConfigError

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
JOB_INDEX, CLUSTER = "JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST"

_SLURM = (
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
)
_MPI_URI = "OMPI_MCA_orte_hnp_uri"
_MPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK")

HEARTBEAT_SECONDS, START_SECONDS = 100, 300


class Section(Protocol):
    """The config's `distributed`."""

    @property
    def coordinator(self) -> str | None:
        """host:port of process 0."""

    @property
    def processes(self) -> int | None:
        """How many there are."""

    @property
    def process(self) -> int | None:
        """Which one this is, from 0."""

    @property
    def heartbeat_seconds(self) -> int:
        """After how long a silence a process counts as dead."""

    @property
    def start_seconds(self) -> int:
        """How long the first waits for the last."""


@dataclass(frozen=True)
class Place:
    """Which process this is. What is None is JAX's to find, by the method `scheduler`."""

    coordinator: str | None
    processes: int | None
    process: int | None
    devices: tuple[int, ...] | None = None
    scheduler: str | None = None
    heartbeat_seconds: int = HEARTBEAT_SECONDS
    start_seconds: int = START_SECONDS


def place_of(section: Section | None, environ: Mapping[str, str]) -> Place | None:
    """Which process this is; None for one alone.

    Raises:
        ConfigError: what is set is not enough, or no number; it says what is set and what is
            missing.
    """
    if section is not None and section.processes == 1:
        return None
    said = _said(section, environ)
    if said.get("processes") == 1:
        return None
    found = _of_slurm(said, environ) or _of_mpi(said, environ) or _of_job(said, section, environ)
    found = found or _of_ours(said, section, environ)
    if found is None:
        return None
    count = found.processes
    if found.process is not None and count is not None and not 0 <= found.process < count:
        raise ConfigError(
            f"distributed.process: expected 0 to {count - 1}, of {count} processes, found "
            f"{found.process}"
        )
    if section is None:
        return found
    seconds = {"heartbeat_seconds", "start_seconds"}
    return Place(
        **{k: v for k, v in vars(found).items() if k not in seconds},
        **{key: getattr(section, key) for key in seconds},
    )


def _said(section: Section | None, environ: Mapping[str, str]) -> dict[str, str | int]:
    """What the config says, and JAX's own variables where it doesn't."""
    said: dict[str, str | int] = {}
    if environ.get(ADDRESS):
        said["coordinator"] = environ[ADDRESS]
    for key, name in (("processes", COUNT), ("process", INDEX)):
        if environ.get(name):
            said[key] = _number(name, environ)
    for key in ("coordinator", "processes", "process"):
        value = getattr(section, key, None)
        if value is not None:
            said[key] = value
    if "coordinator" in said:
        _refuse_no_address(str(said["coordinator"]))
    return said


def _of_slurm(said: Mapping[str, str | int], environ: Mapping[str, str]) -> Place | None:
    if "process" in said or "SLURM_JOB_ID" not in environ:
        return None
    if environ.get("SLURM_NTASKS"):
        several = _number("SLURM_NTASKS", environ) > 1
    else:  # a batch script without a number of tasks is one process, and the first
        first = environ.get("SLURM_PROCID") in (None, "", "0")
        several = not first or bool(environ.get("SLURM_STEP_NODELIST"))
    if not several:
        return None
    _refuse_half(
        "SLURM",
        _SLURM,
        environ,
        "start it by `srun`, and hand them all into the container; distributed.processes=1 is one "
        "process alone",
    )
    for name in ("SLURM_JOB_ID", *_SLURM[2:]):
        _number(name, environ)
    return Place(*_known(said), scheduler="slurm")


def _of_mpi(said: Mapping[str, str | int], environ: Mapping[str, str]) -> Place | None:
    there = [name for name in _MPI if environ.get(name)]
    if "process" in said or not there:
        return None
    if _MPI[0] in there and _number(_MPI[0], environ) == 1:
        return None
    _refuse_half("Open MPI", _MPI, environ, "start it by `mpirun`")
    count, index, local = (_number(name, environ) for name in _MPI)
    if environ.get(_MPI_URI):
        return Place(*_known(said), scheduler="ompi")
    if "coordinator" not in said:
        raise ConfigError(
            f"distributed: Open MPI has set {', '.join(_MPI)}, and {_MPI_URI} is missing, as it is "
            f"from Open MPI 5 on: say distributed.coordinator=HOST:PORT, or {ADDRESS}, where HOST "
            "is that of process 0"
        )
    address, processes, _ = _known(said)
    return Place(address, count if processes is None else processes, index, devices=(local,))


def _of_job(
    said: Mapping[str, str | int], section: Section | None, environ: Mapping[str, str]
) -> Place | None:
    """An Indexed Job says which pod this is, and not of how many: it may be a sweep, too."""
    wanted = section is not None or "coordinator" in said or "processes" in said
    if "process" in said or not environ.get(JOB_INDEX) or not wanted:
        return None
    index = _number(JOB_INDEX, environ)
    if "coordinator" in said and "processes" in said:
        address, processes, _ = _known(said)
        return Place(address, processes, index)
    if environ.get(CLUSTER) and "coordinator" not in said and "processes" not in said:
        return Place(None, None, None, scheduler="k8s")  # JAX asks Kubernetes itself
    raise _half(
        f"{JOB_INDEX} (Kubernetes)",
        [name for key, name in (("coordinator", ADDRESS), ("processes", COUNT)) if key in said],
        [name for key, name in (("coordinator", ADDRESS), ("processes", COUNT)) if key not in said],
        "the manifest has to set both, or neither with the package `kubernetes` installed",
    )


def _of_ours(
    said: Mapping[str, str | int], section: Section | None, environ: Mapping[str, str]
) -> Place | None:
    keys = {"coordinator": ADDRESS, "processes": COUNT, "process": INDEX}
    missing = [key for key in keys if key not in said]
    if not missing:
        return Place(*_known(said))
    if not said and section is None:
        return None
    raise _half(
        "distributed",
        [f"{key} ({keys[key]})" for key in keys if key in said],
        [f"{key} ({keys[key]})" for key in missing],
        "set all three, in the config's section `distributed` or as variables, or start the "
        "processes by srun, mpirun, or `python -m jaxtrain.main launch`",
    )


def _known(said: Mapping[str, str | int]) -> tuple[str | None, int | None, int | None]:
    address, processes, process = (said.get(k) for k in ("coordinator", "processes", "process"))
    return (
        None if address is None else str(address),
        None if processes is None else int(processes),
        None if process is None else int(process),
    )


def _refuse_half(who: str, names: Iterable[str], environ: Mapping[str, str], what: str) -> None:
    names = tuple(names)
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise _half(who, [name for name in names if environ.get(name)], missing, what)


def _half(who: str, there: list[str], missing: list[str], what: str) -> ConfigError:
    return ConfigError(
        f"{who}: several processes are meant, and only half is said: "
        f"set: {', '.join(there) or 'nothing'}; missing: {', '.join(missing)}; {what}"
    )


def _refuse_no_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(f"distributed.coordinator: expected host:port, found {address!r}")


def _number(name: str, environ: Mapping[str, str]) -> int:
    text = environ[name].strip()
    if not text.isdecimal():
        raise ConfigError(f"{name}: expected a number from 0 on, found {environ[name]!r}")
    return int(text)
