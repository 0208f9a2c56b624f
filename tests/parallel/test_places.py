"""Which process of how many, by what schedulers set; half of it is told, and starts nothing."""

from __future__ import annotations

import pytest

from jaxtrain.config.schema import DistributedSection
from jaxtrain.errors import ConfigError
from jaxtrain.parallel import place_of

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "node[001-004]",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}
MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
OURS = {
    "JAX_COORDINATOR_ADDRESS": "10.0.0.1:8476",
    "JAX_NUM_PROCESSES": "4",
    "JAX_PROCESS_ID": "1",
}
JOB = {
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "JOB_COMPLETION_INDEX": "3",
    "JAX_COORDINATOR_ADDRESS": "run-workers-0-0.run:8476",
    "JAX_NUM_PROCESSES": "4",
}


def without(environ, *names):
    return {name: value for name, value in environ.items() if name not in names}


def found(environ, **section):
    place = place_of(DistributedSection(**section) if section else None, environ)
    assert place is not None
    return place.coordinator, place.processes, place.process, place.scheduler


def test_nothing_said_is_one_process_alone():
    assert place_of(None, {}) is None
    assert place_of(None, {"PATH": "/bin", "SLURM_CLUSTER_NAME": "a"}) is None


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        (SLURM, (None, None, None, "slurm")),
        (MPI, (None, None, None, "ompi")),
        (OURS, ("10.0.0.1:8476", 4, 1, None)),
        (JOB, ("run-workers-0-0.run:8476", 4, 3, None)),
        # An address of one's own, and the rest from the scheduler.
        ({**SLURM, "JAX_COORDINATOR_ADDRESS": "a:1"}, ("a:1", None, None, "slurm")),
        ({**without(MPI, "OMPI_MCA_orte_hnp_uri"), **OURS}, ("10.0.0.1:8476", 4, 1, None)),
        # All three are said: whatever else is there does not matter.
        ({**SLURM, **OURS}, ("10.0.0.1:8476", 4, 1, None)),
    ],
)
def test_who_started_it_says_who_it_is(environ, place):
    assert found(environ) == place


def test_open_mpi_5_sets_no_address_and_one_that_is_said_is_enough():
    environ = without(MPI, "OMPI_MCA_orte_hnp_uri")
    with pytest.raises(ConfigError, match=r"OMPI_MCA_orte_hnp_uri is missing.*coordinator=HOST"):
        place_of(None, environ)
    place = place_of(None, {**environ, "JAX_COORDINATOR_ADDRESS": "a:1"})
    assert place is not None
    assert (place.coordinator, place.processes, place.process) == ("a:1", 4, 3)
    assert place.devices == (1,)
    assert place.scheduler is None


@pytest.mark.parametrize("missing", [name for name in SLURM if name != "SLURM_JOB_ID"])
def test_half_of_slurm_is_told(missing):
    environ = without(SLURM, missing)
    with pytest.raises(ConfigError) as caught:
        place_of(None, environ)
    text = str(caught.value)
    assert f"missing: {missing};" in text
    for name in environ:
        assert name in text.partition("missing:")[0]
    assert "srun" in text


@pytest.mark.parametrize("missing", [name for name in MPI if name.startswith("OMPI_COMM")])
def test_half_of_open_mpi_is_told(missing):
    with pytest.raises(ConfigError, match=f"missing: {missing};.*mpirun"):
        place_of(None, without(MPI, missing))


@pytest.mark.parametrize("missing", list(OURS))
def test_half_of_our_own_is_told(missing):
    with pytest.raises(ConfigError, match=rf"missing: \w+ \({missing}\);"):
        place_of(None, without(OURS, missing))


@pytest.mark.parametrize("missing", ["JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES"])
def test_half_of_a_job_is_told(missing):
    with pytest.raises(ConfigError, match=f"JOB_COMPLETION_INDEX.*missing: {missing};"):
        place_of(None, without(JOB, missing))


def test_a_job_that_says_only_which_it_is_may_be_one_of_a_sweep():
    environ = without(JOB, "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES")
    assert place_of(None, environ) is None
    # Who insists has JAX ask Kubernetes.
    place = place_of(DistributedSection(), environ)
    assert place is not None
    assert (place.scheduler, place.coordinator) == ("k8s", None)


@pytest.mark.parametrize(
    "environ",
    [
        # `sbatch` without a number of tasks: a script that calls python without srun.
        {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
        {**SLURM, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
        {**MPI, "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        {**OURS, "JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"},
    ],
)
def test_a_scheduler_of_one_process_is_none(environ):
    assert place_of(None, environ) is None


def test_srun_in_a_container_that_lost_the_count_is_half():
    with pytest.raises(ConfigError, match="missing: SLURM_STEP_NODELIST, SLURM_NTASKS;"):
        place_of(None, without(SLURM, "SLURM_NTASKS", "SLURM_STEP_NODELIST"))


def test_the_config_says_more_than_the_environment():
    assert place_of(DistributedSection(processes=1), SLURM) is None
    assert found(OURS, process=2)[2] == 2
    assert found({}, coordinator="a:1", processes=2, process=0) == ("a:1", 2, 0, None)
    place = place_of(DistributedSection(heartbeat_seconds=17, start_seconds=8), OURS)
    assert place is not None
    assert (place.heartbeat_seconds, place.start_seconds) == (17, 8)


def test_a_section_insists_on_several():
    with pytest.raises(ConfigError, match=r"set: nothing; missing: coordinator .*processes.*"):
        place_of(DistributedSection(), {})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({**OURS, "JAX_NUM_PROCESSES": "four"}, "JAX_NUM_PROCESSES: expected a number.*'four'"),
        ({**SLURM, "SLURM_PROCID": "-1"}, "SLURM_PROCID: expected a number"),
        ({**OURS, "JAX_PROCESS_ID": "4"}, "expected 0 to 3, of 4 processes, found 4"),
        ({**OURS, "JAX_COORDINATOR_ADDRESS": "10.0.0.1"}, "expected host:port, found '10.0.0.1'"),
        ({**OURS, "JAX_COORDINATOR_ADDRESS": "a:70000"}, "expected host:port"),
        ({**OURS, "JAX_COORDINATOR_ADDRESS": ":8476"}, "expected host:port"),
    ],
)
def test_what_is_no_number_or_address_is_told(environ, said):
    with pytest.raises(ConfigError, match=said):
        place_of(None, environ)
